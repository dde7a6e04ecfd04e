//! What a name stands for, where a regular file should be.

use std::fs::Metadata;
use std::os::unix::fs::FileTypeExt;

/// What it is, with its article, if it is no regular file.
pub fn other_kind(about: &Metadata) -> Option<&'static str> {
    let kind = about.file_type();
    if kind.is_file() {
        return None;
    }
    Some(if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_char_device() {
        "a character device"
    } else if kind.is_block_device() {
        "a block device"
    } else {
        "of an unknown kind"
    })
}
