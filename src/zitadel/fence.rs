//! Until when this process may write: of several that stand by for each other one writes at a time.

use std::{
    future::{pending, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll},
};

use http_body::{Body, Frame, SizeHint};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

/// Shared by whoever finds out how long this process may write, and all who write. Open for ever
/// unless somebody says otherwise.
#[derive(Debug, Clone)]
pub struct Fence(watch::Sender<Until>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    Forever,
    Time(Instant),
    Never,
}

/// This process may not write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this operator does not hold its Lease")]
pub struct Closed {
    /// A part of the request may have been sent.
    pub begun: bool,
}

impl Default for Fence {
    fn default() -> Self {
        Self(watch::Sender::new(Until::Forever))
    }
}

impl Fence {
    /// One that is closed until it is opened.
    pub fn closed() -> Self {
        Self(watch::Sender::new(Until::Never))
    }

    /// Lets this process write until then, and no longer.
    pub fn open_until(&self, time: Instant) {
        self.0.send_replace(Until::Time(time));
    }

    /// Lets nothing be written any more; requests that are under way are aborted.
    pub fn close(&self) {
        self.0.send_replace(Until::Never);
    }

    /// Whether this process may write now.
    pub fn is_open(&self) -> bool {
        match *self.0.borrow() {
            Until::Forever => true,
            Until::Time(time) => Instant::now() < time,
            Until::Never => false,
        }
    }

    /// Sends a request that changes something, if that is allowed, and aborts it when it is not
    /// allowed any more.
    pub async fn guard<T>(&self, send: impl Future<Output = T>) -> Result<T, Closed> {
        let (mut until, mut send, mut begun) = (self.0.subscribe(), pin!(send), false);
        loop {
            let end = *until.borrow_and_update();
            let ended = async {
                match end {
                    Until::Time(time) => sleep_until(time).await,
                    Until::Forever | Until::Never => pending().await,
                }
            };
            // Asked each time that the request goes on: after a process was paused, its timers are
            // as late as everything else.
            let step = poll_fn(|context| {
                if !self.is_open() {
                    return Poll::Ready(Err(Closed { begun }));
                }
                begun = true;
                send.as_mut().poll(context).map(Ok)
            });
            tokio::select! {
                biased;
                answer = step => return answer,
                () = ended => {}
                _ = until.changed() => {}
            }
        }
    }

    /// A body that breaks off where it would be sent too late.
    pub(super) fn body(&self, body: reqwest::Body) -> reqwest::Body {
        reqwest::Body::wrap(FencedBody { body, fence: self.clone() })
    }
}

/// It is asked for when the request is written to its connection: nothing can be nearer to that.
struct FencedBody {
    body: reqwest::Body,
    fence: Fence,
}

type Data = <reqwest::Body as Body>::Data;
type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Body for FencedBody {
    type Data = Data;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Data>, BoxError>>> {
        if !self.fence.is_open() {
            return Poll::Ready(Some(Err(Box::new(Closed { begun: false }))));
        }
        Pin::new(&mut self.body).poll_frame(context).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::{future::ready, time::Duration};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn nothing_is_begun_while_it_is_closed() {
        assert_eq!(Fence::default().guard(ready(1)).await, Ok(1));
        let fence = Fence::closed();
        let send = async { panic!("sent") };
        assert_eq!(fence.guard(send).await, Err::<(), _>(Closed { begun: false }));
        fence.open_until(Instant::now() + SECOND);
        assert_eq!(fence.guard(ready(1)).await, Ok(1));
        tokio::time::advance(SECOND).await;
        assert_eq!(fence.guard(ready(1)).await, Err(Closed { begun: false }));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_under_way_ends_with_the_time_unless_that_is_prolonged() {
        let fence = Fence::closed();
        let began = Instant::now();
        fence.open_until(began + SECOND);
        let (sent, ()) = tokio::join!(fence.guard(pending::<()>()), async {
            tokio::time::sleep(SECOND / 2).await;
            fence.open_until(began + 2 * SECOND);
        });
        assert_eq!(sent, Err(Closed { begun: true }));
        assert_eq!(began.elapsed(), 2 * SECOND);
        fence.open_until(Instant::now() + SECOND);
        let (sent, ()) = tokio::join!(fence.guard(pending::<()>()), async { fence.close() });
        assert_eq!(sent, Err(Closed { begun: true }));
        assert_eq!(began.elapsed(), 2 * SECOND, "at once");
    }

    #[tokio::test]
    async fn a_process_that_was_paused_does_not_go_on_with_a_request() {
        let fence = Fence::closed();
        fence.open_until(Instant::now() + Duration::from_millis(50));
        // All threads stand still, the timers among them; afterwards the request could go on.
        let mut steps = 0;
        let send = poll_fn(|context| {
            steps += 1;
            std::thread::sleep(Duration::from_millis(100));
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        assert_eq!(fence.guard(send).await, Err(Closed { begun: true }));
        assert_eq!(steps, 1);
    }

    #[tokio::test]
    async fn a_body_breaks_off_where_it_is_too_late() {
        let fence = Fence::closed();
        let mut body = fence.body("text".into());
        assert_eq!(body.size_hint().exact(), Some(4));
        let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
        frame.unwrap().unwrap_err();
        let mut body = Fence::default().body("text".into());
        let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
        assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), "text");
    }
}
