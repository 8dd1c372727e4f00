//! The faults, and what each of them may lead to.

use std::time::Duration;

use crate::{
    inprocess::Lab,
    line::{Reach, Strike},
};

/// What the operator is about to do when a fault begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Create,
    Update,
    Delete,
    /// It looks at what is there, after a restart.
    List,
    /// It hears of somebody else's change.
    Feed,
}

impl Act {
    pub(crate) const ALL: [Self; 5] =
        [Self::Create, Self::Update, Self::Delete, Self::List, Self::Feed];

    /// The calls that this is done by.
    fn reach(self) -> Reach {
        match self {
            Self::Create | Self::Update | Self::Delete => Reach::Writes,
            Self::List => Reach::Reads,
            Self::Feed => Reach::Feed,
        }
    }
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// Requests meet this on their way.
    Struck(Strike),
    /// Reads show what was so a while ago.
    Lag(Duration),
    /// Events show in the feed later than their dates say, and out of order.
    LateEvents(Duration),
}

/// A row of the matrix.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    how: How,
    /// Whether everything meets it, or only the calls of what is being done.
    pub(crate) is_whole: bool,
    /// What is said by the object (of the feed: nothing); nothing: it need not show.
    pub(crate) says: &'static [&'static str],
    /// How long until that is said.
    pub(crate) known_within: Duration,
    /// How long until all is right after its end, where it lasted for seconds.
    pub(crate) right_within: Duration,
    /// Whether that grows with its length, as pauses do.
    pub(crate) grows: bool,
    /// What is sent in a minute of it, at most; where it is not everything: for each object.
    pub(crate) calls: usize,
}

const SECONDS: Duration = Duration::from_secs(5);

/// A fault of single endpoints that is an error like others.
const fn part(name: &'static str, strike: Strike, says: &'static [&'static str]) -> Fault {
    Fault {
        name,
        how: How::Struck(strike),
        is_whole: false,
        says,
        known_within: SECONDS,
        right_within: SECONDS,
        grows: true,
        calls: 65,
    }
}

/// An outage.
const fn whole(name: &'static str, strike: Strike) -> Fault {
    Fault {
        name,
        how: How::Struck(strike),
        is_whole: true,
        says: &["Unreachable"],
        known_within: SECONDS,
        right_within: SECONDS,
        grows: false,
        calls: 14,
    }
}

const UNREACHABLE: &[&str] = &["Unreachable"];
/// It may be found to be as declared all the same.
const PERHAPS: &[&str] = &["Unreachable", "NotConverged", "InSync", "LostByZitadel"];

/// What was asked for is not there, perhaps.
const SAID_NOT_THERE: &[&str] =
    &["Unreachable", "NotConverged", "InSync", "LostByZitadel", "Rejected"];

/// A deadline, and what is left of the time in which it has to show.
const AFTER_DEADLINE: Duration = Duration::from_secs(40);

/// All of them.
pub(crate) const FAULTS: [Fault; 31] = [
    whole("everything: connection refused", Strike::Connect("Connection refused (os error 111)")),
    whole("everything: TLS error", Strike::Connect("invalid peer certificate: Expired")),
    whole("everything: connection reset", Strike::Reset),
    Fault {
        // A write that is under way is waited for, and a request that got lost.
        known_within: AFTER_DEADLINE,
        right_within: AFTER_DEADLINE,
        ..whole("everything: no answer", Strike::Hang)
    },
    whole("everything: 503", Strike::Page(503)),
    whole("everything: HTML in place of JSON", Strike::Page(200)),
    Fault {
        says: &["Unauthenticated"],
        known_within: Duration::from_secs(11),
        right_within: Duration::from_secs(20),
        grows: true,
        ..whole("everything: 401", Strike::Error(401, 16))
    },
    part("connection refused", Strike::Connect("Connection refused (os error 111)"), UNREACHABLE),
    part("TLS error", Strike::Connect("invalid peer certificate: Expired"), UNREACHABLE),
    part("connection reset", Strike::Reset, UNREACHABLE),
    Fault {
        known_within: AFTER_DEADLINE,
        right_within: AFTER_DEADLINE,
        ..part("no answer", Strike::Hang, UNREACHABLE)
    },
    part("answers that drip for 3 s", Strike::Slow(Duration::from_secs(3)), &[]),
    // What deletes again what it has deleted is told so.
    part("half of the JSON", Strike::Truncated, SAID_NOT_THERE),
    part("HTML in place of JSON", Strike::Page(200), UNREACHABLE),
    Fault {
        // Refused credentials are not tried again for 10 s.
        right_within: Duration::from_secs(20),
        ..part("401", Strike::Error(401, 16), &["Unauthenticated"])
    },
    part("403", Strike::Error(403, 7), &["Forbidden"]),
    part("404 of a proxy", Strike::Page(404), &["Rejected", "NotConverged"]),
    part("404 of ZITADEL that is not true", Strike::Error(404, 5), SAID_NOT_THERE),
    part("409: exists already", Strike::Error(409, 6), &["Rejected", "NotConverged"]),
    part("409: somebody else wrote", Strike::Error(409, 10), &["Rejected", "NotConverged"]),
    part("412", Strike::Error(412, 9), &["Rejected", "NotConverged"]),
    part("429", Strike::Busy(None), &["RateLimited"]),
    Fault {
        right_within: Duration::from_secs(10),
        ..part("429 with Retry-After: 4", Strike::Busy(Some(4)), &["RateLimited"])
    },
    part("500", Strike::Error(500, 13), UNREACHABLE),
    part("502", Strike::Page(502), UNREACHABLE),
    part("503", Strike::Error(503, 14), UNREACHABLE),
    part("lost answer", Strike::LostAnswer, PERHAPS),
    part("lists without their entries", Strike::Half, &[]),
    part("entries of another form", Strike::Odd, &[]),
    Fault {
        how: How::Lag(Duration::from_secs(3)),
        right_within: Duration::from_secs(11),
        ..part("reads that lag by 3 s", Strike::Reset, &[])
    },
    Fault {
        how: How::LateEvents(Duration::from_secs(5)),
        right_within: Duration::from_secs(11),
        ..part("events out of order, up to 5 s late", Strike::Reset, &[])
    },
];

impl Fault {
    /// Whether it can strike this act: a write has no list, and events no write.
    pub(crate) fn concerns(&self, act: Act) -> bool {
        match self.how {
            How::Struck(Strike::Half | Strike::Odd) => act == Act::List,
            How::Struck(Strike::LostAnswer) => !matches!(act, Act::List | Act::Feed),
            How::LateEvents(_) => act == Act::Feed,
            How::Struck(_) | How::Lag(_) => true,
        }
    }

    /// It begins, for what is about to be done.
    pub(crate) fn begin(&self, lab: &Lab, act: Act) {
        match self.how {
            How::Struck(strike) => {
                let reach = if self.is_whole { Reach::All } else { act.reach() };
                lab.line().strike(reach, strike);
            }
            How::Lag(lag) => lab.emulator.faults().lag(lag),
            How::LateEvents(late) => lab.emulator.faults().late_commits(late),
        }
    }

    /// It is over.
    pub(crate) fn end(lab: &Lab) {
        lab.line().heal();
        lab.emulator.faults().clear();
    }

    /// Whether it shows in what is sent.
    pub(crate) fn is_met(&self, lab: &Lab) -> bool {
        !matches!(self.how, How::Struck(_)) || lab.line().met() > 0
    }
}
