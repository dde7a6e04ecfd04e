//! Privileges that nothing of this process may gain.

use std::io;

/// From now on a program that this thread starts, or a thread of it, gets no rights from being setuid,
/// setgid or having capabilities. Cannot be undone. Does nothing on systems without it.
pub fn gain_no_privileges() -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    nix::sys::prctl::set_no_new_privs()?;
    Ok(())
}
