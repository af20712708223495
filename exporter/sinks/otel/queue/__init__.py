"""Where encoded records wait, in memory and on disk, until a collector has them."""
