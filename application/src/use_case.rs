//! use_case
