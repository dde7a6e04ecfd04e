//! Certificates and keys from files.
//!
//! Called on a server's own thread, with the rights of the user that gmetad runs as.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, Error, RootCertStore};

use crate::link::error::LinkError;
use crate::link::server::TlsFiles;

/// Longest file. All authorities that a system trusts take some 200 KB.
const FILE_BYTES: u64 = 16 * 1024 * 1024;

/// What changes when a file is replaced or written: device, inode, size, time.
pub(super) type Stamp = (u64, u64, u64, i64, i64);

/// The file with the certificates of authorities.
pub(super) fn authorities(files: &TlsFiles) -> Result<PathBuf, LinkError> {
    files.authorities.clone().map_or_else(systems, Ok)
}

fn systems() -> Result<PathBuf, LinkError> {
    openssl_probe::probe().cert_file.ok_or_else(|| {
        let told = "this system has no file of trusted certificates; install ca-certificates, or \
                    name a file with ca_file";
        LinkError::Tls(told.into())
    })
}

/// Stamps of all files.
pub(super) fn stamps(files: &TlsFiles, authorities: &Path) -> Result<Vec<Stamp>, LinkError> {
    let client = files.client.iter().flat_map(|(chain, key)| [chain, key]);
    let paths = std::iter::once(authorities).chain(client.map(PathBuf::as_path));
    let stamp = |path: &Path| {
        let meta = path.metadata().map_err(|cause| wrong(path, &cause))?;
        Ok((
            meta.dev(),
            meta.ino(),
            meta.size(),
            meta.mtime(),
            meta.mtime_nsec(),
        ))
    };
    paths.map(stamp).collect()
}

/// What connections are made with.
pub(super) fn config(files: &TlsFiles, authorities: &Path) -> Result<ClientConfig, LinkError> {
    let mut roots = RootCertStore::empty();
    // A bundle may have a certificate of a kind that cannot be used: the others can.
    let (taken, _) = roots.add_parsable_certificates(certificates(authorities)?);
    if taken == 0 {
        return Err(wrong(
            authorities,
            &"it has no certificate that can be used",
        ));
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| LinkError::Tls(error.to_string()))?
        .with_root_certificates(roots);
    let Some((chain, key)) = &files.client else {
        return Ok(builder.with_no_client_auth());
    };
    let parsed = PrivateKeyDer::from_pem_slice(&bytes(key)?)
        .map_err(|_| wrong(key, &"it has no private key in PEM without a passphrase"))?;
    let built = builder.with_client_auth_cert(certificates(chain)?, parsed);
    built.map_err(|error| match error {
        Error::InconsistentKeys(_) => {
            wrong(key, &format!("the key is not that of {}", chain.display()))
        }
        error => wrong(key, &format!("the key cannot be used: {error}")),
    })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, LinkError> {
    let bytes = bytes(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(wrong(path, &"it has no certificate in PEM")),
        Err(_) => Err(wrong(path, &"it is not sound PEM")),
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>, LinkError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_BYTES).read_to_end(&mut bytes))
        .map_err(|cause| wrong(path, &cause))?;
    Ok(bytes)
}

fn wrong(path: &Path, reason: &dyn std::fmt::Display) -> LinkError {
    LinkError::File {
        path: path.into(),
        reason: reason.to_string(),
    }
}
