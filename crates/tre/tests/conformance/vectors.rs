//! The vectors of the specification give the same bytes in the machine.

use counterfoil_vectors::check::check_in;
use counterfoil_vectors::fixed::Host;
use std::path::Path;

#[test]
fn every_flow_gives_the_same_bytes_in_the_machine() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors");
    let report = check_in(&dir, |device| super::door::open_over(Host::new(device))).unwrap();
    let differences: Vec<String> = report
        .files
        .iter()
        .flat_map(|file| file.differences.iter().map(|d| format!("{}: {d:?}", file.file)))
        .collect();
    assert_eq!(differences, Vec::<String>::new());
    assert!(report.files.iter().any(|file| file.file.contains("flows")));
}
