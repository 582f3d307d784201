//! The threads that drawings are rendered on.
//!
//! A nested drawing needs a large stack, and one that takes for ever must not hold up its caller. So every thread that
//! renders has another one beside it, which stays from drawing to drawing: to start one, with fresh memory for its stack
//! and its heap, takes longer than a simple drawing.
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::svg::{Rendered, Renderer, SvgError};
use crate::storage::one_line;

/// Stack of a rendering thread; the library nests up to 1,024 elements, and pages that are not touched cost nothing.
const STACK: usize = 64 << 20;

type Answer = Result<Rendered, SvgError>;

/// A rendering thread; it ends when this is dropped.
struct Beside {
    drawings: SyncSender<(Renderer, String)>,
    answers: Receiver<Answer>,
}

thread_local! {
    static BESIDE: Cell<Option<Beside>> = const { Cell::new(None) };
}

/// Renders on the thread beside this one, within the renderer's time limit.
pub(super) fn render(renderer: Renderer, text: &str) -> Answer {
    let time = renderer.limits.time;
    STRAYS.wait_for_room(time);
    let beside = match BESIDE.take() {
        Some(beside) => beside,
        None => Beside::start()?,
    };
    let ended = || SvgError::Library { reason: "its thread ended".to_owned() };
    beside.drawings.send((renderer, text.to_owned())).map_err(|_| ended())?;
    match beside.answers.recv_timeout(time) {
        Ok(answer) => {
            BESIDE.set(Some(beside));
            answer
        }
        Err(RecvTimeoutError::Timeout) => {
            // Counted before its channel is gone, since it counts itself out when it finds that.
            STRAYS.leave();
            Err(SvgError::TooSlow { limit: time })
        }
        Err(RecvTimeoutError::Disconnected) => Err(ended()),
    }
}

impl Beside {
    fn start() -> Result<Self, SvgError> {
        let (drawings, received) = mpsc::sync_channel::<(Renderer, String)>(1);
        // Without a buffer, so that an answer is either received or known to have come too late.
        let (send, answers) = mpsc::sync_channel::<Answer>(0);
        let work = move || {
            for (renderer, text) in received {
                let panicked = |_| Err(SvgError::Library { reason: "it panicked on the drawing".to_owned() });
                let answer =
                    catch_unwind(AssertUnwindSafe(|| renderer.render_here(&text))).unwrap_or_else(panicked);
                // Whoever gave up waiting counted this thread as a stray.
                if send.send(answer).is_err() {
                    return STRAYS.home();
                }
            }
        };
        std::thread::Builder::new()
            .name("albef-svg".to_owned())
            .stack_size(STACK)
            .spawn(work)
            .map_err(|error| SvgError::Library { reason: one_line(&error.to_string()) })?;
        Ok(Self { drawings, answers })
    }
}

static STRAYS: Strays = Strays { count: Mutex::new(0), fewer: Condvar::new() };

/// Threads that nobody waits for any more.
struct Strays {
    count: Mutex<usize>,
    fewer: Condvar,
}

impl Strays {
    const MOST: usize = 4;

    fn wait_for_room(&self, time: Duration) {
        let count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.fewer.wait_timeout_while(count, time, |count| *count >= Self::MOST));
    }

    fn leave(&self) {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    }

    fn home(&self) {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        *count = count.saturating_sub(1);
        self.fewer.notify_all();
    }
}
