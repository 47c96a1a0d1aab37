//! tre
