//! Connections that can be reset: axum's listener with a switch on each socket.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use axum::{
    body::{Bytes, HttpBody},
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use http_body::Frame;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// The switch of one connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connection {
    dead: Arc<AtomicBool>,
}

impl Connection {
    /// From now on nothing is written; the socket is closed with a reset.
    pub(crate) fn reset(&self) {
        self.dead.store(true, Ordering::Release);
    }

    fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Acquire)
    }
}

impl Connected<IncomingStream<'_, ResettingListener>> for Connection {
    fn connect_info(stream: IncomingStream<'_, ResettingListener>) -> Self {
        stream.io().connection.clone()
    }
}

/// A listener whose sockets carry a [`Connection`], and die with it.
pub(crate) struct ResettingListener {
    inner: TcpListener,
    alive: watch::Sender<()>,
}

impl ResettingListener {
    pub(crate) fn new(inner: TcpListener) -> Self {
        Self { inner, alive: watch::Sender::new(()) }
    }
}

impl Listener for ResettingListener {
    type Io = Socket;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Socket, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.inner).await;
        let _ = stream.set_nodelay(true);
        let mut alive = self.alive.subscribe();
        let socket = Socket {
            stream,
            connection: Connection::default(),
            closed: Box::pin(async move { while alive.changed().await.is_ok() {} }),
        };
        (socket, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}

/// A socket that may be told to die.
pub(crate) struct Socket {
    stream: TcpStream,
    connection: Connection,
    /// Comes to its end when the listener is dropped.
    closed: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Socket {
    fn check(&self) -> io::Result<()> {
        if !self.connection.is_dead() {
            return Ok(());
        }
        // Closing with nothing to linger for sends a reset.
        let _ = self.stream.set_zero_linger();
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.connection.is_dead() && self.closed.as_mut().poll(context).is_ready() {
            self.connection.reset();
        }
        self.check()?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// A body that breaks off.
#[derive(Default)]
pub(crate) struct Broken {
    first: Option<Bytes>,
}

impl Broken {
    /// A body that breaks off after these bytes.
    pub(crate) fn after(first: Bytes) -> Self {
        Self { first: Some(first) }
    }
}

impl HttpBody for Broken {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Poll::Ready(Some(match self.first.take() {
            Some(bytes) => Ok(Frame::data(bytes)),
            None => Err(io::Error::from(io::ErrorKind::ConnectionReset)),
        }))
    }
}

/// A body with white space behind it: so many bytes, or without end.
pub(crate) struct Padded {
    first: Option<Bytes>,
    left: Option<u64>,
    rested: bool,
}

impl Padded {
    const BLOCK: &[u8] = &[b' '; 16 * 1024];

    pub(crate) fn behind(first: Bytes, left: Option<u64>) -> Self {
        Self { first: Some(first), left, rested: false }
    }
}

impl HttpBody for Padded {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        // Who reads it in process has to be interruptible.
        self.rested = !self.rested;
        if self.rested {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let block = match self.left {
            Some(0) => return Poll::Ready(None),
            Some(left) => usize::try_from(left).unwrap_or(usize::MAX).min(Self::BLOCK.len()),
            None => Self::BLOCK.len(),
        };
        self.left = self.left.map(|left| left.saturating_sub(block as u64));
        let block = Self::BLOCK.get(..block).unwrap_or_default();
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(block)))))
    }
}
