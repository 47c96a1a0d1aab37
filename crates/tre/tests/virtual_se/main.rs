//! The virtual secure element: images, machines, elements, updates.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod element;
mod image;
mod machine;
mod update;
mod world;
