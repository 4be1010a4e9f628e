//! What `doctor` makes of a database, by cases.

use super::*;

fn good() -> Probe {
    Probe {
        version: 150_004,
        may_write: true,
        missing: vec![],
        latency: Duration::from_micros(400),
        clock_off: -2_000,
        oldest: None,
        is_standby: false,
        synchronous: Some("b".into()),
        durable: true,
        connections: (10, 100),
        tables: None,
        parts: None,
        closed: None,
    }
}

fn of(probe: &Probe, what: &str) -> (Grade, String) {
    let found = findings(probe).into_iter().find(|it| it.what == what).expect("it is told");
    assert_eq!(found.help.is_empty(), found.grade == Grade::Ok, "{found:?}");
    (found.grade, found.said)
}

#[test]
fn a_database_as_it_should_be_has_nothing_to_warn_of() {
    let wrong = findings(&good()).into_iter().filter(|it| it.grade != Grade::Ok);
    assert_eq!(wrong.collect::<Vec<_>>(), []);
    assert_eq!(of(&good(), "version").1, "PostgreSQL 15.4");
    assert_eq!(of(&good(), "clock").1, "the server's is 0.002 s behind this machine's");
}

#[test]
fn each_thing_that_is_wrong_is_graded_by_what_it_costs() {
    let with = |change: fn(&mut Probe)| {
        let mut probe = good();
        change(&mut probe);
        probe
    };
    let grade = |change: fn(&mut Probe), what: &str| of(&with(change), what).0;
    let (ok, warning, error) = (Grade::Ok, Grade::Warning, Grade::Error);
    assert_eq!(grade(|it| it.version = 140_012, "version"), error);
    assert_eq!(grade(|it| it.may_write = false, "writes"), error);
    assert_eq!(grade(|it| it.missing = vec!["CREATE".into()], "privileges"), error);
    assert_eq!(grade(|it| it.closed = Some("it was moved".into()), "tables"), error);
    assert_eq!(grade(|it| it.durable = false, "durable"), error);
    assert_eq!(grade(|it| it.synchronous = None, "standby"), warning);
    assert_eq!(grade(|it| it.latency = Duration::from_millis(11), "latency"), warning);
    assert_eq!(grade(|it| it.clock_off = 1_000_000, "clock"), ok);
    assert_eq!(grade(|it| it.clock_off = -1_000_001, "clock"), warning);
    let old = |it: &mut Probe| it.oldest = Some(Duration::from_secs(301));
    assert_eq!(grade(old, "transactions"), warning);
    assert_eq!(grade(|it| it.oldest = Some(Duration::from_secs(300)), "transactions"), ok);
    assert_eq!(grade(|it| it.connections = (99, 100), "connections"), error);
    assert_eq!(grade(|it| it.connections = (95, 100), "connections"), warning);
    let standby = with(|it| (it.is_standby, it.may_write) = (true, false));
    assert!(of(&standby, "writes").1.contains("standby"));
    assert_eq!(of(&standby, "standby").0, ok, "that is said once");
}

#[test]
fn a_host_that_is_away_is_a_warning_beside_others() {
    let hosts = callboard_config::load::database_named("--store", "postgres://u@a,b:1/n")
        .expect("two")
        .hosts();
    let told = |it: &_| of_host(&hosts[1], it);
    let (primary, away) = (Ok(good()), Err(StoreError::Closed));
    let standby = Ok(Probe { is_standby: true, may_write: false, ..good() });
    assert_eq!(told(&primary).said, "a primary, PostgreSQL 15.4");
    assert_eq!(told(&standby).said, "a standby, PostgreSQL 15.4");
    assert_eq!((told(&away).grade, &*told(&away).what), (Grade::Warning, "host b:1"));
    let of = |looked: &[Result<Probe, StoreError>]| {
        let found = all(looked).into_iter().filter(|it| it.grade == Grade::Error);
        found.map(|it| it.what).collect::<Vec<_>>()
    };
    assert_eq!(of(&[away.clone(), standby.clone(), primary.clone()]), [""; 0]);
    assert_eq!(of(&[away.clone(), standby.clone()]), ["writes"]);
    assert_eq!(of(&[away.clone(), away.clone()]), ["address"]);
    assert_eq!(all(&[away.clone(), away]).len(), 1);
}

#[test]
fn what_an_owner_may_write_is_what_the_store_takes() {
    for rest in [
        "u@a/n",
        "u@a:1,b:2,[::1]:3/n",
        "u@%2Frun%2Fpostgresql/n",
        "u@a/n?sslmode=disable",
        "u@a/n?sslmode=verify-ca&sslrootcert=%2Fca.pem",
        "u@a/n?sslmode=verify-full&sslrootcert=/ca.pem&connect_timeout=3",
        "u@a/n?target_session_attrs=any&application_name=x&channel_binding=require",
        "u@a/n?options=-c%20search_path%3Dcallboard",
        "u@/n",
        "u@a",
        "u@a:no/n",
        "u@a/n?speed=9",
        "u@a/n?sslmode=hope",
        "u@a/n?target_session_attrs=hope",
    ] {
        let url = format!("postgres://{rest}");
        let (written, taken) =
            (callboard_config::load::database_named("--store", &url), Address::parse(&url));
        assert_eq!(written.is_ok(), taken.is_ok(), "{url}: {written:?} {taken:?}");
    }
}
