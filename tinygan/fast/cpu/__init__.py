"""Versions for NumPy: slices that fit the cache, on all cores, in arrays that are used again."""
