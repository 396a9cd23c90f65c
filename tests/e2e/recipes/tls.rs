//! Certificates of one test, and TLS in front of a server that has none.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// An authority that nobody else knows.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Writes its own certificate, which peers have to know.
    pub(super) fn write(&self, dir: &Path) -> PathBuf {
        let path = dir.join("ca.pem");
        fs::write(&path, self.0.pem()).unwrap();
        path
    }

    /// TLS under the name `host` in front of `server`.
    pub(super) fn front(&self, host: &str, server: SocketAddr) -> Front {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, host);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let mut config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Front::start(config, server)
    }
}

/// A running server of TLS. Dropped, it stops and breaks its connections.
pub(super) struct Front {
    pub(super) address: SocketAddr,
    /// The server name that each connection asked for, and its protocol.
    greetings: Arc<Mutex<Vec<(String, String)>>>,
    runtime: Option<Runtime>,
}

impl Front {
    pub(super) fn greetings(&self) -> Vec<(String, String)> {
        self.greetings.lock().unwrap().clone()
    }

    fn start(config: ServerConfig, server: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("tls")
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let greetings = Arc::default();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        runtime.spawn(accept(listener, acceptor, server, Arc::clone(&greetings)));
        Self { address, greetings, runtime: Some(runtime) }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    server: SocketAddr,
    greetings: Arc<Mutex<Vec<(String, String)>>>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, greetings) = (acceptor.clone(), Arc::clone(&greetings));
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            // A peer that does not trust the certificate goes away here.
            let Ok(mut client) = acceptor.accept(stream).await else { return };
            let (_, tls) = client.get_ref();
            let protocol = String::from_utf8_lossy(tls.alpn_protocol().unwrap_or_default());
            let name = tls.server_name().unwrap_or_default();
            greetings.lock().unwrap().push((name.to_owned(), protocol.into_owned()));
            let Ok(mut server) = TcpStream::connect(server).await else { return };
            let _ = server.set_nodelay(true);
            let _ = copy_bidirectional(&mut client, &mut server).await;
        });
    }
}
