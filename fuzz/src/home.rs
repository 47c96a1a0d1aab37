//! The files of a wallet's sealed store, as a broken disk or a thief might leave them.

use std::sync::OnceLock;

use counterfoil_ta::env::{Batch, Store};
use counterfoil_tre::medium::FileName;
use counterfoil_tre::testing::{FaultyMedium, Files, Survival, open_store};

use crate::input::Input;

const LABEL: &str = "fuzz";

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// What a store wrote: the files after each of its commits, and what is in them.
fn written() -> &'static Vec<(Files, Rows)> {
    static WRITTEN: OnceLock<Vec<(Files, Rows)>> = OnceLock::new();
    WRITTEN.get_or_init(|| {
        let medium = FaultyMedium::new();
        let mut states = Vec::new();
        let mut store = open_store(&medium, LABEL, false).expect("an empty disk");
        for number in 0..6u8 {
            let mut batch = Batch::new();
            batch.put(vec![b'k', number % 4], vec![number; usize::from(number) * 9]);
            if number == 3 {
                batch.delete(vec![b'k', 1]);
            }
            store.commit(&batch).expect("a healthy disk");
            let files = medium.files();
            states.push((files, content(&medium.fork()).expect("it was written")));
        }
        states
    })
}

/// A slot's content after the last commit: a seed.
pub fn sealed() -> Vec<u8> {
    let last = written().last().into_iter().flat_map(|(files, _)| files.values());
    last.max_by_key(|bytes| bytes.len()).cloned().unwrap_or_default()
}

fn content(medium: &FaultyMedium) -> Option<Rows> {
    let store = open_store(medium, LABEL, false).ok()?;
    let mut rows = Vec::new();
    store.scan(&[], &mut |key, value| rows.push((key.to_vec(), value.to_vec()))).ok()?;
    Some(rows)
}

/// A store over damaged files opens on something that was once committed, whole, or does not open. Nothing else can be
/// in it, since nothing else was ever sealed.
pub fn home(data: &[u8]) {
    let mut input = Input::new(data);
    let states = written();
    let medium = FaultyMedium::new();
    let mut files = states[input.below(states.len())].0.clone();
    match input.byte() % 4 {
        // Bytes from anywhere.
        0 => drop(files.insert(FileName::Slot0, input.rest().to_vec())),
        1 => drop(files.insert(FileName::Slot1, input.rest().to_vec())),
        _ => {
            for bytes in files.values_mut() {
                *bytes = input.tampered(bytes);
            }
        }
    }
    medium.put_files(&files);
    let Some(rows) = content(&medium) else { return };
    let known = rows.is_empty() || states.iter().any(|(_, state)| *state == rows);
    assert!(known, "what was never committed: {rows:?}");
    // What was opened goes on: a commit lands, and is there after the power went.
    let Ok(mut store) = open_store(&medium, LABEL, false) else { return };
    let mut batch = Batch::new();
    batch.put(b"after".to_vec(), b"all".to_vec());
    if store.commit(&batch).is_ok() {
        drop(store);
        medium.power_cycle(Survival::Nothing);
        let rows = content(&medium).expect("a store that was written opens");
        assert!(rows.contains(&(b"after".to_vec(), b"all".to_vec())));
    }
}
