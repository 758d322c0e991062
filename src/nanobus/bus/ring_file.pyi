# Everything here is for Cython: see ring_file.pxd.
