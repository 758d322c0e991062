# Everything here is for Cython: see waiting.pxd.
