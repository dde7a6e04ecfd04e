//! Whatever a store answers to a request of remote write is an answer or an error, however it comes; no
//! more of it is read than the limits say, and what it says of values adds up.
#![no_main]

use gmetad_export::exercise::answer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, bytes)) = bytes.split_first() else {
        return;
    };
    let values = u32::from(first >> 4);
    let whole = answer(bytes, 4096, values);
    let pieces = answer(bytes, usize::from(first & 15) + 1, values);
    match (&whole, &pieces) {
        (Ok(whole), Ok(pieces)) => {
            assert_eq!(whole, pieces);
            assert!(whole.refused.is_empty() || whole.refused.len() == values as usize);
            assert_eq!(
                whole.refused.is_empty() || values == 0,
                whole.reason.is_empty() || values == 0
            );
            assert!(
                !whole.reason.contains(|c: char| c.is_control()),
                "{}",
                whole.reason
            );
        }
        (Err(whole), Err(pieces)) => {
            let told = whole.to_string();
            assert!(!told.contains(['\n', '\r']), "{told}");
            assert_eq!(
                std::mem::discriminant(whole),
                std::mem::discriminant(pieces)
            );
        }
        _ => panic!("{whole:?} and {pieces:?}"),
    }
});
