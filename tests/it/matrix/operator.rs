//! The operator without a cluster, in virtual time: what is woken when, as `operator` does it, one
//! reconcile of an object at a time and as many objects side by side as there are.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use kastellan::{contract::Key, engine::report::Outcome, live::Follower};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::{Instant, sleep, sleep_until},
};

use crate::inprocess::{Lab, key};

/// The pause of what is woken by the return of ZITADEL.
const UNTIL_RETURN: Duration = Duration::from_mins(10);

pub(crate) fn instance() -> Key {
    key("Instance", "ns", "default")
}

enum Wake {
    One(Key),
    /// What is not Ready, or waits for the return of ZITADEL.
    Failing,
    All,
}

/// See the module.
pub(crate) struct Operator<'a> {
    lab: &'a Lab,
    due: BTreeMap<Key, Instant>,
    running: FuturesUnordered<BoxFuture<'a, (Key, Outcome)>>,
    busy: BTreeSet<Key>,
    await_return: BTreeSet<Key>,
    /// What said last that it is Ready.
    ready: BTreeSet<Key>,
    woken: UnboundedReceiver<Wake>,
    follower: BoxFuture<'a, ()>,
}

impl<'a> Operator<'a> {
    /// Starts to look at everything.
    pub(crate) fn start(lab: &'a Lab) -> Self {
        let (wake, woken) = unbounded_channel();
        let now = Instant::now();
        Self {
            lab,
            due: lab.objects().iter().map(|o| (o.key.clone(), now)).collect(),
            running: FuturesUnordered::new(),
            busy: BTreeSet::new(),
            await_return: BTreeSet::new(),
            ready: BTreeSet::new(),
            woken,
            follower: follow(lab, wake).boxed(),
        }
    }

    /// Somebody changed this object.
    pub(crate) fn wake(&mut self, key: &Key) {
        self.due.insert(key.clone(), Instant::now());
    }

    /// Works for this long.
    pub(crate) async fn work(&mut self, time: Duration) {
        self.until(time, |_| false).await;
    }

    /// Works until something is so. Returns after how long; `None`: not within this time.
    pub(crate) async fn until(
        &mut self,
        limit: Duration,
        is_so: impl Fn(&Lab) -> bool,
    ) -> Option<Duration> {
        let began = Instant::now();
        loop {
            if is_so(self.lab) {
                return Some(began.elapsed());
            }
            if began.elapsed() >= limit {
                return None;
            }
            self.step(began + limit).await;
        }
    }

    /// Begins what is due, and waits for the next thing that happens.
    async fn step(&mut self, end: Instant) {
        let now = Instant::now();
        let is_due = |(key, at): &(&Key, &Instant)| **at <= now && !self.busy.contains(*key);
        let due: Vec<Key> = self.due.iter().filter(is_due).map(|(key, _)| key.clone()).collect();
        for key in due {
            self.due.remove(&key);
            if self.lab.object(&key).is_some() {
                self.busy.insert(key.clone());
                let lab = self.lab;
                let look = async move { (key.clone(), lab.look(&key).await) };
                self.running.push(look.boxed());
            }
        }
        let idle = self.due.iter().filter(|(key, _)| !self.busy.contains(*key));
        let next = idle.map(|(_, at)| *at).min().unwrap_or(end).min(end);
        tokio::select! {
            biased;
            Some((key, outcome)) = self.running.next(), if !self.running.is_empty() => {
                self.conclude(&key, &outcome);
            }
            Some(wake) = self.woken.recv() => self.answer(wake),
            () = &mut self.follower => {}
            () = sleep_until(next) => {}
        }
    }

    fn answer(&mut self, wake: Wake) {
        match wake {
            Wake::One(key) => self.wake(&key),
            Wake::All => self.lab.objects().iter().for_each(|o| self.wake(&o.key)),
            Wake::Failing => {
                let failing =
                    |key: &Key| !self.lab.status(key).is_ready() || self.await_return.contains(key);
                let keys = self.lab.objects().into_iter().map(|o| o.key.clone());
                keys.filter(failing).collect::<Vec<_>>().iter().for_each(|key| self.wake(key));
            }
        }
    }

    fn conclude(&mut self, key: &Key, outcome: &Outcome) {
        self.busy.remove(key);
        self.await_return.remove(key);
        let mut again = outcome.requeue_after;
        if outcome.awaits_return {
            self.await_return.insert(key.clone());
            let connections = self.lab.engine.connections.all();
            if connections.iter().any(|(_, c)| c.client.is_down()) {
                again = Some(UNTIL_RETURN);
            }
        }
        if let Some(pause) = again
            && self.lab.object(key).is_some()
        {
            // Woken meanwhile, it is due earlier.
            let at = Instant::now() + pause;
            let due = self.due.entry(key.clone()).or_insert(at);
            *due = at.min(*due);
        }
        outcome.wake.iter().for_each(|key| self.wake(key));
        if !outcome.status.is_ready() {
            self.ready.remove(key);
        } else if self.ready.insert(key.clone()) {
            // What is as it should be does not ask again.
            let failing = |referrer: &&Key| !self.lab.status(referrer).is_ready();
            let referrers = self.lab.referrers(key);
            referrers.iter().filter(failing).for_each(|referrer| self.wake(referrer));
        }
    }
}

async fn follow(lab: &Lab, wake: UnboundedSender<Wake>) {
    let instance = instance();
    let mut follower = Follower::default();
    let send = |what| wake.send(what).unwrap_or_default();
    loop {
        let Some(connection) = lab.engine.connections.get(&instance) else {
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let is_ready = || lab.status(&instance).is_ready();
        if follower.wait(&connection).await.is_err() {
            if is_ready() {
                send(Wake::One(instance.clone()));
            }
            continue;
        }
        let polled = if follower.is_refused() {
            follower.skip(&connection)
        } else {
            follower.poll(&connection).await
        };
        for touched in &polled.touched {
            lab.concerned(touched).into_iter().for_each(|key| send(Wake::One(key)));
        }
        if polled.wakes_instance && (polled.answered || is_ready()) {
            send(Wake::One(instance.clone()));
        }
        if polled.wakes_failing {
            send(Wake::Failing);
        }
        if polled.compares {
            connection.invalidate_all();
            send(Wake::All);
        }
    }
}
