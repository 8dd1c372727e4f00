//! An emulator behind a socket, in the background.

use std::net::SocketAddr;

use tokio::{net::TcpListener, task::JoinHandle};

use crate::emulator::Emulator;

/// An emulator that is served in the background. Dropping it stops the server.
pub struct Running {
    emulator: Emulator,
    address: SocketAddr,
    task: Option<JoinHandle<()>>,
}

impl Running {
    /// Serves an emulator on a listener in the background.
    ///
    /// # Errors
    /// When the listener has no address.
    pub fn on(emulator: Emulator, listener: TcpListener) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let mut running = Self { emulator, address, task: None };
        running.spawn(listener);
        Ok(running)
    }

    fn spawn(&mut self, listener: TcpListener) {
        let emulator = self.emulator.clone();
        self.task = Some(tokio::spawn(async move {
            let _ = emulator.serve(listener).await;
        }));
    }

    /// Where it is served, with the instance's host name: `http://localhost:34567`.
    pub fn url(&self) -> String {
        let domain = &self.emulator.shared.options.domain;
        format!("http://{domain}:{}", self.address.port())
    }

    /// The address of the socket.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The emulator that is served.
    pub fn emulator(&self) -> &Emulator {
        &self.emulator
    }

    /// Stops serving: connections break, new ones are refused. The state stays.
    pub async fn stop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            let _ = task.await;
        }
    }

    /// Serves again on the same port, with the state as it was.
    ///
    /// # Errors
    /// When somebody else took the port meanwhile.
    pub async fn restart(&mut self) -> std::io::Result<()> {
        self.stop().await;
        let listener = TcpListener::bind(self.address).await?;
        self.spawn(listener);
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
