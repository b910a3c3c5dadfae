//! What a connection costs.

use super::*;

#[test]
fn a_connections_task_is_small() {
    let bytes = {
        fn size<F>(
            _: fn(
                Async<TcpStream>,
                crate::monitor::http::connection_table::ConnectionGuard,
                Rc<ServerState>,
            ) -> F,
        ) -> usize {
            size_of::<F>()
        }
        size(connection::serve)
    };
    assert!(
        bytes < 4096,
        "{bytes} bytes: some buffer is held while the task waits"
    );
}
