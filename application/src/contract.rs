//! One test per promise of each port, for every adapter to run against itself.
