//! What the acts of the demo share.

use callboard_trace::RunId;

use super::client::Client;
use super::house::House;
use super::show::Show;

/// The stage: a folder, a server, a voice.
pub(crate) struct Play {
    pub(crate) house: House,
    pub(crate) client: Client,
    pub(crate) show: Show,
    /// The run whose story is told at the end.
    pub(crate) story: Option<RunId>,
}
