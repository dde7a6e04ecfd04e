//! The style sheet, the script and the icon, each below a name that changes with its content, so that
//! browsers may keep it.

/// A file that pages refer to.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// Before and after the hash.
    stem: &'static str,
    end: &'static str,
    hash: u64,
    pub content_type: &'static str,
    pub bytes: &'static [u8],
}

const fn asset(
    stem: &'static str,
    end: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
) -> Asset {
    Asset {
        stem,
        end,
        hash: hash(bytes),
        content_type,
        bytes,
    }
}

pub const STYLE: Asset = asset(
    "style",
    ".css",
    "text/css; charset=utf-8",
    include_bytes!("style.css"),
);

pub const SCRIPT: Asset = asset(
    "script",
    ".js",
    "text/javascript; charset=utf-8",
    include_bytes!("script.js"),
);

pub const ICON: Asset = asset("icon", ".svg", "image/svg+xml", include_bytes!("icon.svg"));

/// FNV-1a: tells versions apart, no more.
const fn hash(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut at = 0;
    while at < bytes.len() {
        hash ^= bytes[at] as u64;
        hash = hash.wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    hash
}

impl Asset {
    /// Its name in links.
    pub fn name(&self) -> String {
        format!("{}-{:08x}{}", self.stem, self.hash as u32, self.end)
    }

    /// The one of that name. One of another hash is of another version: it is answered with ours, which
    /// is not to be kept then.
    pub fn named(name: &str) -> Option<Asset> {
        [STYLE, SCRIPT, ICON]
            .into_iter()
            .find(|asset| name.starts_with(asset.stem) && name.ends_with(asset.end))
    }
}
