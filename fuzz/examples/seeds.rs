//! Writes the seed corpora: `cargo xtask fuzz --seeds`.

fn main() -> std::io::Result<()> {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    counterfoil_fuzz::seeds::write(&corpus)
}
