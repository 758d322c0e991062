# Everything here is for Cython: see claims.pxd.
