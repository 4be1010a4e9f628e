//! A request whose handler breaks down is answered all the same.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use futures::future::BoxFuture;
use rmcp::model::ErrorData;

use crate::veil;

/// What the work comes to, also if it panics: whoever asked would wait for ever. It has a place of
/// its own, so that a request that waits takes no more room than it needs.
pub(crate) fn kept<'a, T: 'a>(
    work: impl Future<Output = Result<T, ErrorData>> + Send + 'a,
) -> BoxFuture<'a, Result<T, ErrorData>> {
    // Nothing of the work is looked at afterwards; locks are taken over as they were left.
    let ended = AssertUnwindSafe(work).catch_unwind().map(|ended| {
        let ended = ended.unwrap_or_else(|_| {
            let told = "the request broke down inside the server; what it had started goes on";
            Err(ErrorData::internal_error(told, None))
        });
        ended.map_err(veil::over_error)
    });
    ended.boxed()
}

#[cfg(test)]
mod tests {
    use rmcp::model::ErrorCode;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_answer() {
        assert_eq!(kept(async { Ok(5) }).await, Ok(5));
        let refused = || ErrorData::invalid_params("no", None);
        assert_eq!(kept::<()>(async { Err(refused()) }).await, Err(refused()));
        let broken = kept::<()>(async {
            tokio::task::yield_now().await;
            panic!("a bug of ours")
        });
        let told = broken.await.expect_err("it broke down");
        assert_eq!(told.code, ErrorCode::INTERNAL_ERROR);
        assert!(!told.message.contains("a bug of ours"), "{told}");
    }
}
