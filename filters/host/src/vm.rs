//! The guard around every callback.
//!
//! Two things must not happen in a sidecar: that a panic leaves the module, which ends the VM
//! and with it every filter of the same code on that worker; and that a stream goes on because
//! the code that should have stopped it failed. Each callback therefore runs in here: a panic
//! is caught, the stream refused, and the proxy told what is safe.
//!
//! A proxy may also call back while a callback of the filter is waiting for it. Envoy defers
//! whatever would cause that until the callback has returned (it only asks for memory, see
//! `memory`), but the ABI does not promise it. The filter is then in use, and the inner
//! callback fails closed like a panicking one.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::filter::Subject;
use crate::ports::{Contexts, LocalReplies, Logs, Streams};
use crate::{Callback, ContextId, Filter, LogLevel, StreamKind};

/// A filter in its VM.
#[derive(Debug)]
pub struct Vm<F> {
    filter: RefCell<F>,
    /// Contexts that ended while the filter was in use. The filter hears of them when it is
    /// free: state that is never deleted would be a leak.
    ended: RefCell<Vec<ContextId>>,
}

impl<F> Vm<F> {
    /// Puts a filter into its VM.
    pub const fn new(filter: F) -> Self {
        Self {
            filter: RefCell::new(filter),
            ended: RefCell::new(Vec::new()),
        }
    }

    /// Runs a callback about a context; returns `safe` if it fails.
    ///
    /// A failed HTTP callback has answered its request by
    /// [`Filter::PANIC_REPLY`], a failed TCP callback has closed its connection.
    pub fn call<H, T>(
        &self,
        proxy: &H,
        callback: Callback,
        context: ContextId,
        safe: T,
        body: impl FnOnce(&mut F) -> T,
    ) -> T
    where
        F: Filter<H>,
        H: LocalReplies + Streams + Contexts + Logs,
    {
        let result = match self.run(body) {
            Ok(Some(result)) => result,
            Ok(None) => {
                self.reentered(proxy, callback, context);
                return safe;
            }
            Err(Panicked) => {
                refuse::<F, H>(proxy, callback, context);
                // A filter that cannot even count its panic goes uncounted.
                let _ = self.run(|filter| filter.on_panic(proxy, callback, context));
                safe
            }
        };
        if !self.ended.borrow().is_empty() {
            self.catch_up(proxy);
        }
        result
    }

    /// `None` if the filter is in use.
    fn run<T>(&self, body: impl FnOnce(&mut F) -> T) -> Result<Option<T>, Panicked> {
        // What unwinds leaves the filter as documented at `Filter`; the borrow ends with it.
        let guarded = AssertUnwindSafe(|| Some(body(&mut *self.filter.try_borrow_mut().ok()?)));
        catch_unwind(guarded).map_err(|_| Panicked)
    }

    #[cold]
    fn reentered<H>(&self, proxy: &H, callback: Callback, context: ContextId)
    where
        F: Filter<H>,
        H: LocalReplies + Streams + Contexts + Logs,
    {
        if callback == Callback::Delete {
            self.ended.borrow_mut().push(context);
            return;
        }
        proxy.log(
            LogLevel::Error,
            &format!("{callback:?} of context {context} re-entered"),
        );
        refuse::<F, H>(proxy, callback, context);
    }

    #[cold]
    fn catch_up<H>(&self, proxy: &H)
    where
        F: Filter<H>,
    {
        for context in self.ended.take() {
            let _ = self.run(|filter| filter.on_delete(proxy, context));
        }
    }
}

/// The callback unwound; its panic has been logged by the hook.
struct Panicked;

/// Ends the stream that a failed callback was about.
#[cold]
fn refuse<F, H>(proxy: &H, callback: Callback, context: ContextId)
where
    F: Filter<H>,
    H: LocalReplies + Streams + Contexts,
{
    // The callback may have gone to another context before it failed. If this fails, the
    // context is the current one or is gone.
    let own = || {
        let _ = proxy.set_effective_context(context);
    };
    match callback.subject() {
        Subject::Http => {
            own();
            if proxy.send_local_reply(&F::PANIC_REPLY).is_err() {
                let _ = proxy.close_stream(StreamKind::Request);
            }
        }
        Subject::Tcp => {
            own();
            let _ = proxy.close_stream(StreamKind::Downstream);
        }
        Subject::Other => {}
    }
}

#[cfg(test)]
mod tests {
    use super::Vm;
    use crate::fake::{Proxy, SentReply};
    use crate::ports::Contexts;
    use crate::{Action, Callback, ContextId, Filter, LocalReply, LogLevel, StreamKind};

    const STREAM: ContextId = ContextId(2);
    const OTHER: ContextId = ContextId(3);

    /// Keeps what it heard of.
    #[derive(Default)]
    struct Witness {
        panics: Vec<(Callback, ContextId)>,
        deleted: Vec<ContextId>,
        panics_twice: bool,
    }

    impl<H> Filter<H> for Witness {
        const PANIC_REPLY: LocalReply<'static> = LocalReply::new(599);

        fn on_delete(&mut self, _: &H, context: ContextId) {
            self.deleted.push(context);
        }

        fn on_panic(&mut self, _: &H, callback: Callback, context: ContextId) {
            self.panics.push((callback, context));
            if self.panics_twice {
                panic!("again");
            }
        }
    }

    struct Rig {
        vm: Vm<Witness>,
        proxy: Proxy,
    }

    impl Rig {
        fn new(filter: Witness) -> Self {
            let proxy = Proxy::new();
            proxy.stream(OTHER);
            proxy.enter(STREAM);
            Self {
                vm: Vm::new(filter),
                proxy,
            }
        }

        fn call(&self, callback: Callback, body: impl FnOnce(&mut Witness) -> Action) -> Action {
            self.vm
                .call(&self.proxy, callback, STREAM, Action::Pause, body)
        }

        fn witness<T>(&self, look: impl FnOnce(&Witness) -> T) -> T {
            look(&self.vm.filter.borrow())
        }

        fn refused(&self) -> (Option<u16>, Vec<StreamKind>) {
            let stream = self.proxy.stream(STREAM);
            (
                stream.reply().map(|SentReply { status, .. }| status),
                stream.closed(),
            )
        }
    }

    #[test]
    fn a_callback_returns_what_it_decides() {
        let rig = Rig::new(Witness::default());
        assert_eq!(
            rig.call(Callback::RequestHeaders, |_| Action::Continue),
            Action::Continue
        );
        assert_eq!(rig.refused(), (None, vec![]));
        assert!(
            rig.proxy.calls().is_empty(),
            "the guard asks nothing of the proxy"
        );
    }

    #[test]
    fn a_panic_refuses_its_stream_and_is_counted() {
        for (callback, refused) in [
            (Callback::RequestHeaders, (Some(599), vec![])),
            (Callback::RequestBody, (Some(599), vec![])),
            (Callback::ResponseHeaders, (Some(599), vec![])),
            (
                Callback::NewConnection,
                (None, vec![StreamKind::Downstream]),
            ),
            (
                Callback::DownstreamData,
                (None, vec![StreamKind::Downstream]),
            ),
            (Callback::UpstreamData, (None, vec![StreamKind::Downstream])),
            (Callback::Tick, (None, vec![])),
            (Callback::Log, (None, vec![])),
        ] {
            let rig = Rig::new(Witness::default());
            assert_eq!(rig.call(callback, |_| panic!("on purpose")), Action::Pause);
            assert_eq!(rig.refused(), refused, "{callback:?}");
            assert_eq!(rig.witness(|w| w.panics.clone()), [(callback, STREAM)]);
            assert_eq!(rig.call(callback, |_| Action::Continue), Action::Continue);
        }
    }

    #[test]
    fn a_panic_in_another_context_refuses_the_right_one() {
        let rig = Rig::new(Witness::default());
        rig.call(Callback::DownstreamData, |_| {
            rig.proxy.set_effective_context(OTHER).unwrap();
            panic!("on purpose");
        });
        assert_eq!(rig.refused().1, [StreamKind::Downstream]);
        assert_eq!(rig.proxy.stream(OTHER).closed(), []);
    }

    #[test]
    fn a_filter_that_panics_over_its_panics_still_refuses() {
        let rig = Rig::new(Witness {
            panics_twice: true,
            ..Witness::default()
        });
        for _ in 0..1000 {
            assert_eq!(
                rig.call(Callback::RequestHeaders, |_| panic!("once")),
                Action::Pause
            );
        }
        assert_eq!(rig.refused().0, Some(599));
        assert_eq!(rig.witness(|w| w.panics.len()), 1000);
    }

    #[test]
    fn a_reentered_filter_fails_closed_and_goes_on() {
        let rig = Rig::new(Witness::default());
        let outer = rig.call(Callback::RequestHeaders, |_| {
            assert_eq!(
                rig.call(Callback::RequestBody, |_| Action::Continue),
                Action::Pause
            );
            Action::Continue
        });
        assert_eq!(outer, Action::Continue);
        assert_eq!(rig.refused().0, Some(599));
        let line = "RequestBody of context 2 re-entered".to_owned();
        assert_eq!(rig.proxy.logs(), [(LogLevel::Error, line)]);
        assert_eq!(rig.witness(|w| w.panics.len()), 0);
    }

    #[test]
    fn a_context_that_ends_while_the_filter_is_in_use_is_heard_of_later() {
        let rig = Rig::new(Witness::default());
        rig.call(Callback::RequestHeaders, |witness| {
            rig.call(Callback::Delete, |_| Action::Continue);
            assert_eq!(witness.deleted, []);
            Action::Pause
        });
        assert_eq!(rig.witness(|w| w.deleted.clone()), [STREAM]);
    }
}
