//! `qingxi`: one binary, all of the platform.

use app::config::{self, Config};
use app::error::{self, Error, Result};
use app::events::{backup, compact, coverage, export, verify};
use app::history::{backfill, import};
use app::{demo, query, quotes, replay, simulate, soak, status, subscriptions, tapes, topology};
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// 清溪 Qingxi: real-time market data from many venues in one exact model.
#[derive(Parser, Debug)]
#[command(name = "qingxi", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Start simulators of every source and the platform on them; nothing else is needed.
    Demo(demo::Args),
    /// Read the live venues and serve what they say.
    Run(RunArgs),
    /// Start the simulators alone, for anybody's bot.
    Sim(simulate::Args),
    /// Replay recordings through the same code that live connections use, or events that are kept as a live stream.
    Replay(replay::Args),
    /// Hold the tapes of two recorders against each other: which frames one has and the other lacks.
    Diff(tapes::diff::Args),
    /// As `run`, with every raw frame kept as a tape.
    Record(RunArgs),
    /// Ask a running platform how every source and lane is doing.
    Status(status::Args),
    /// Check, show or explain the config.
    Config {
        /// What to do.
        #[command(subcommand)]
        what: ConfigCommand,
    },
    /// Read the past of an instrument by REST, within the venue's limits.
    Backfill(backfill::Args),
    /// Read archive files of venues and of Tardis.
    Import(import::Args),
    /// Hold what is kept against itself: checksums, order, continuity.
    Verify(verify::Args),
    /// Write events that are kept as JSON lines.
    Export(export::Args),
    /// Copy a folder of events that may be in use; only what is new.
    Backup(backup::Args),
    /// Make a folder of events out of a backup, as it was known at an instant.
    Restore(backup::RestoreArgs),
    /// Tell whether what is kept is complete, by lane and time.
    Coverage(coverage::Args),
    /// Write what is only in the log as Parquet files, and make few of many.
    Compact(compact::Args),
    /// Ask SQL of what is kept, in a folder or by a running platform.
    Query(query::Args),
    /// What a running platform wants of its sources: show it, want more, want less.
    Subscriptions(subscriptions::Args),
    /// Quotes of Chinese stocks from a running platform, from the best source or a named one.
    Quotes(quotes::Args),
    /// Simulate sessions against simulators under faults, by seed, in virtual time.
    Soak(soak::Args),
}

#[derive(clap::Args, Debug)]
struct RunArgs {
    /// The config; without it the defaults of `qingxi config reference` hold.
    #[arg(short, long, env = "QINGXI_CONFIG")]
    config: Option<PathBuf>,
    /// Prints where to look as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand, Debug)]
enum ConfigCommand {
    /// Say every fault of a config at once.
    Check {
        /// The config.
        #[arg(short, long, env = "QINGXI_CONFIG")]
        config: Option<PathBuf>,
        /// Prints the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the config in force, defaults filled in.
    Show {
        /// The config.
        #[arg(short, long, env = "QINGXI_CONFIG")]
        config: Option<PathBuf>,
        /// Prints it as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print every key with its meaning and default.
    Reference {
        /// Prints the defaults as JSON.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    // Only fails where a provider was installed before, and none was.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match carry_out(Cli::parse().command) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            error::print(&failure);
            ExitCode::from(2)
        }
    }
}

fn carry_out(command: Command) -> Result<u8> {
    match command {
        Command::Demo(args) => {
            log("warn", false);
            block_on(demo::run(args))
        }
        Command::Run(args) => run(&args, false),
        Command::Record(args) => run(&args, true),
        Command::Sim(args) => {
            log("info", false);
            block_on(simulate::run(args))
        }
        Command::Replay(args) => {
            log("warn", false);
            block_on(replay::run(&args))
        }
        Command::Status(args) => block_on(status::run(args)),
        Command::Query(args) => block_on(query::run(args)),
        Command::Quotes(args) => block_on(quotes::run(args)),
        Command::Subscriptions(args) => block_on(subscriptions::run(args)),
        Command::Backfill(args) => {
            log("warn", false);
            block_on(backfill::run(args))
        }
        Command::Import(args) => import::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Backup(args) => backup::run(&args),
        Command::Restore(args) => backup::restore(&args),
        Command::Coverage(args) => coverage::run(&args),
        Command::Compact(args) => compact::run(&args),
        Command::Diff(args) => tapes::diff::run(&args),
        Command::Config { what } => configure(what),
        Command::Soak(args) => soak::run(&args),
    }
}

fn run(args: &RunArgs, record: bool) -> Result<u8> {
    let mut config = config::load(args.config.as_deref())?;
    config.run.record |= record;
    log(&config.log.filter, config.log.json);
    block_on(topology::run(config, args.json))
}

fn configure(what: ConfigCommand) -> Result<u8> {
    match what {
        ConfigCommand::Check { config: path, json } => match config::load(path.as_deref()) {
            Ok(_) if json => println!("{}", serde_json::json!({ "right": true, "faults": [] })),
            Ok(_) => println!("the config is right"),
            Err(Error::Config(faults)) if json => {
                println!("{}", serde_json::json!({ "right": false, "faults": faults }));
                return Ok(1);
            }
            Err(Error::Config(faults)) => {
                error::print(&Error::Config(faults));
                return Ok(1);
            }
            Err(other) => return Err(other),
        },
        ConfigCommand::Show { config: path, json } => print_config(&config::load(path.as_deref())?, json),
        ConfigCommand::Reference { json: true } => print_config(&Config::default(), true),
        ConfigCommand::Reference { json: false } => print!("{}", config::REFERENCE),
    }
    Ok(0)
}

fn print_config(config: &Config, json: bool) {
    let text = if json { serde_json::to_string(config).ok() } else { toml::to_string(config).ok() };
    println!("{}", text.unwrap_or_default());
}

fn log(filter: &str, json: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(filter));
    let logger = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if json { logger.json().init() } else { logger.init() }
}

fn block_on<F: Future<Output = Result<u8>>>(future: F) -> Result<u8> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Error::Runtime)?.block_on(future)
}
