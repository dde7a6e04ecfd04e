//! TLS for tests: authorities, certificates, and a server that speaks it in front of one that does not.
//!
//! Knows nothing of gmetad.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

/// Versions of TLS.
pub type Versions = &'static [&'static rustls::SupportedProtocolVersion];

/// How long one side of a connection is read before the other.
const LOOK: Duration = Duration::from_millis(5);

/// An authority that issues certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate.
    pub pem: String,
}

/// A certificate and its key, in PEM.
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

/// When a certificate is valid.
#[derive(Clone, Copy, Debug)]
pub enum Life {
    Now,
    Past,
    Future,
}

impl Authority {
    /// One with a key of its own.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("random bytes");
        let certificate = params.self_signed(&key).expect("a sound certificate");
        Self {
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate for a name or an address.
    pub fn issue(&self, name: &str, life: Life) -> Identity {
        let names = vec![name.to_owned()];
        let mut params = CertificateParams::new(names).expect("a sound name");
        let years = match life {
            Life::Now => (2020, 2200),
            Life::Past => (2010, 2020),
            Life::Future => (2190, 2200),
        };
        params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
        let key = KeyPair::generate().expect("random bytes");
        let certificate = params.signed_by(&key, &self.issuer);
        Identity {
            certificate: certificate.expect("a sound certificate").pem(),
            key: key.serialize_pem(),
        }
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.pem) {
            roots.add(certificate).expect("it is an authority's");
        }
        roots
    }

    /// A server's settings with this certificate; it asks for certificates of `clients` if given.
    pub fn server(
        identity: &Identity,
        clients: Option<&Authority>,
        versions: Versions,
    ) -> Arc<ServerConfig> {
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .expect("the provider has them");
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(clients) => {
                let roots = Arc::new(clients.roots());
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
                builder.with_client_cert_verifier(verifier.expect("an authority"))
            }
        };
        let (chain, key) = identity.parsed();
        Arc::new(builder.with_single_cert(chain, key).expect("a pair"))
    }

    /// A client that trusts this authority and presents that certificate.
    pub fn client(&self, identity: &Identity) -> Arc<ClientConfig> {
        let (chain, key) = identity.parsed();
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_root_certificates(self.roots())
            .with_client_auth_cert(chain, key);
        Arc::new(config.expect("a pair"))
    }
}

impl Identity {
    fn parsed(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes());
        (certificates(&self.certificate), key.expect("PEM"))
    }

    /// Writes both to files in a folder, and returns their paths.
    pub fn write(&self, folder: &Path, name: &str) -> [PathBuf; 2] {
        [
            file(folder, &format!("{name}.pem"), &self.certificate),
            file(folder, &format!("{name}.key"), &self.key),
        ]
    }
}

/// Writes a file in a folder, and returns its path.
pub fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("our own folder");
    path
}

fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    let found = CertificateDer::pem_slice_iter(pem.as_bytes());
    found.map(|it| it.expect("PEM")).collect()
}

/// Terminates TLS in front of a server without it. It ends with the test program.
pub struct Front {
    /// Where it listens.
    pub port: u16,
    handshakes: Arc<AtomicUsize>,
}

impl Front {
    /// In front of the server at this port.
    pub fn start(config: Arc<ServerConfig>, behind: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let handshakes = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&handshakes);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, counter) = (Arc::clone(&config), Arc::clone(&counter));
                // It ends when one of the ends does.
                std::thread::spawn(move || serve(config, &counter, stream, behind));
            }
        });
        Self { port, handshakes }
    }

    /// Connections whose handshake succeeded.
    pub fn handshakes(&self) -> usize {
        self.handshakes.load(Ordering::SeqCst)
    }
}

fn serve(
    config: Arc<ServerConfig>,
    handshakes: &AtomicUsize,
    mut stream: TcpStream,
    behind: u16,
) -> std::io::Result<()> {
    let mut session = ServerConnection::new(config).expect("a sound configuration");
    while session.is_handshaking() {
        session.complete_io(&mut stream)?;
    }
    handshakes.fetch_add(1, Ordering::SeqCst);
    let mut outside = StreamOwned::new(session, stream);
    let mut inside = TcpStream::connect((Ipv4Addr::LOCALHOST, behind))?;
    outside.sock.set_read_timeout(Some(LOOK))?;
    inside.set_read_timeout(Some(LOOK))?;
    let mut bytes = vec![0; 65_536];
    loop {
        if let Some(count) = waiting(outside.read(&mut bytes))? {
            inside.write_all(&bytes[..count])?;
        }
        if let Some(count) = waiting(inside.read(&mut bytes))? {
            outside.write_all(&bytes[..count])?;
            outside.flush()?;
        }
    }
}

/// How much has come; `None`: nothing yet. The end is an error.
fn waiting(read: std::io::Result<usize>) -> std::io::Result<Option<usize>> {
    match read {
        Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
        Ok(count) => Ok(Some(count)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
