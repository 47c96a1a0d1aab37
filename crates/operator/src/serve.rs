//! The service as a process.

use std::fs::File;
use std::future::Future;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::error::OperatorError;
use crate::place::Place;
use crate::service::{Service, system_clock};
use crate::{api, jobs};

/// Serves the operator at `place` until SIGTERM or ctrl-c, then finishes the requests that are under way. `ready` is told
/// the address once requests are taken: port 0 takes a free port. Without `listen`, the configuration says where. Logs go to standard error as JSON lines,
/// as the variable `RUST_LOG` says, unless the process has a subscriber already. Blocks the thread.
///
/// # Errors
/// [`OperatorError::Options`] if nothing says where to listen; [`OperatorError::NotLoopback`], [`OperatorError::AlreadyServed`], [`OperatorError::Listen`], and those of [`Service::open`] and
/// [`Service::catch_up`].
pub fn serve(
    place: impl Into<Place>,
    listen: Option<SocketAddr>,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), OperatorError> {
    let place = place.into();
    let listen = match listen {
        Some(listen) => listen,
        None => place.config()?.listen.ok_or(OperatorError::Options(
            "nothing says where to listen: give --listen, or write `listen` into operator.toml",
        ))?,
    };
    if !listen.ip().is_loopback() {
        return Err(OperatorError::NotLoopback(listen));
    }
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let _ = tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).try_init();
    let dir = place.dir.clone();
    let service = Service::open(place, system_clock())?;
    let path = dir.join("serving");
    let serving = File::options().create(true).truncate(false).write(true).open(&path);
    let serving = serving.map_err(|source| OperatorError::File { path, source })?;
    serving.try_lock().map_err(|_| OperatorError::AlreadyServed(dir))?;
    service.catch_up()?;
    let runtime = tokio::runtime::Runtime::new().map_err(OperatorError::Serving)?;
    runtime.block_on(async {
        let listener = TcpListener::bind(listen).await;
        let listener = listener.map_err(|source| OperatorError::Listen(listen, source))?;
        let address = listener.local_addr().map_err(OperatorError::Serving)?;
        let stop = stop_signal().map_err(OperatorError::Serving)?;
        ready(address);
        answer(service, listener, stop).await
    })
}

/// Answers requests that come to `listener`, and does what falls due meanwhile, until `stop` ends; then finishes the requests that are
/// under way.
///
/// # Errors
/// [`OperatorError::Serving`].
pub async fn answer(
    service: Service,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), OperatorError> {
    let jobs = tokio::spawn(jobs::run(service.clone()));
    let served = axum::serve(listener, api::router(service)).with_graceful_shutdown(stop).await;
    jobs.abort();
    served.map_err(OperatorError::Serving)
}

/// Set up before anybody is told that the service is ready, so that a signal sent at once is not missed.
#[cfg(unix)]
fn stop_signal() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn stop_signal() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
