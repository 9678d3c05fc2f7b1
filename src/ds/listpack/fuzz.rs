//! The fuzz entry: any bytes are refused or are a listpack that can be walked, searched, cut and put together.

use super::{Item, Listpack};

/// Checks one input. Panics when an invariant is broken.
pub fn fuzz_listpack(data: &[u8]) {
    check(data.to_vec());
    // Lengths are rarely right by chance: once more with the header mended.
    let mut mended = data.to_vec();
    if let Some(total) = mended.get_mut(..4) {
        total.copy_from_slice(&(data.len() as u32).to_le_bytes());
        check(mended);
    }
}

fn check(bytes: Vec<u8>) {
    let Ok(listpack) = Listpack::from_bytes(bytes) else {
        return;
    };
    let items: Vec<Item<'_>> = listpack.iter().collect();
    assert_eq!(items.len(), listpack.len());
    assert!(listpack.iter().rev().eq(items.iter().rev().copied()));
    for (index, item) in items.iter().enumerate() {
        let at = listpack.seek(index as i64).expect("an index below the length");
        assert_eq!(listpack.get(at), *item);
        let first = items.iter().position(|other| other == item).expect("it is one");
        let found = listpack.find(listpack.first().expect("not empty"), &item.to_vec(), 0);
        assert_eq!(found, listpack.seek(first as i64));
    }
    assert_eq!(
        Listpack::from_bytes(listpack.as_bytes().to_vec()),
        Ok(listpack.clone())
    );
    check_cut(&listpack, items.len() / 2);
}

fn check_cut(whole: &Listpack, index: usize) {
    let mut front = whole.clone();
    let back = front.split_off(index);
    assert_eq!(front.len() + back.len(), whole.len());
    front.append(&back);
    assert_eq!(front.as_bytes(), whole.as_bytes());
}
