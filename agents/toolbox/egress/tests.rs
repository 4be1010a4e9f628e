//! Where a fetch may go, and where not.

use super::*;

#[test]
fn only_public_addresses_are_public() {
    let private = [
        "0.0.0.0",
        "0.1.2.3",
        "10.1.2.3",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.1.1",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.9.9",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.9",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::808:808",
        "100::1",
        "2001::1",
        "2001:10::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "2002:808:808::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "4000::1",
    ];
    let public = [
        "1.1.1.1",
        "8.8.8.8",
        "100.63.0.1",
        "100.128.0.1",
        "168.63.129.17",
        "172.15.0.1",
        "172.32.0.1",
        "192.0.1.1",
        "192.167.1.1",
        "198.17.0.1",
        "223.255.255.255",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "2001:4860:4860::8888",
        "2606:4700::1111",
    ];
    private.iter().for_each(|it| assert!(!is_public(it.parse().unwrap()), "{it}"));
    public.iter().for_each(|it| assert!(is_public(it.parse().unwrap()), "{it}"));
}

fn admitted(hosts: Option<&[&str]>, loopback: bool, url: &str) -> Result<(), String> {
    let hosts = hosts.map(|all| all.iter().map(ToString::to_string).collect());
    admits(&Fetch { hosts, loopback }, &Url::parse(url).unwrap(), None)
}

#[test]
fn addresses_are_refused_however_they_are_spelled() {
    for url in [
        "http://example.org/",
        "ftp://example.org/",
        "file:///etc/passwd",
        "https://user:key@example.org/",
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://169.254.169.254/latest/meta-data/",
        "http://localhost:1/",
    ] {
        assert!(admitted(None, false, url).is_err(), "{url}");
    }
    assert_eq!(admitted(None, false, "https://example.org/"), Ok(()));
    assert_eq!(admitted(None, true, "http://127.0.0.1:8/"), Ok(()));
    assert_eq!(admitted(None, true, "http://localhost:8/"), Ok(()));
    assert!(admitted(None, true, "http://10.0.0.1/").is_err());
}

#[test]
fn a_list_of_hosts_shuts_out_all_others() {
    let hosts = Some(&["docs.rs", "*.example.org", "localhost:3000"][..]);
    for url in ["https://docs.rs/a", "https://a.b.example.org/", "https://docs.rs:444/"] {
        assert_eq!(admitted(hosts, false, url), Ok(()), "{url}");
    }
    assert_eq!(admitted(hosts, true, "http://localhost:3000/"), Ok(()));
    for url in ["https://example.org/", "https://evildocs.rs/", "https://docs.rs.evil.org/"] {
        assert!(admitted(hosts, false, url).is_err(), "{url}");
    }
    assert!(admitted(hosts, true, "http://localhost:3001/").is_err());
}

#[test]
fn a_name_is_held_against_every_address_it_has() {
    let at = |all: &[&str]| all.iter().map(|it| SocketAddr::new(it.parse().unwrap(), 0)).collect();
    let ok = |name, all: &[&str], loopback| {
        filtered(name, at(all), May { loopback, private: false }).is_ok()
    };
    assert!(ok("example.org", &["8.8.8.8", "2606:4700::1111"], false));
    assert!(!ok("rebound.example.org", &["8.8.8.8", "10.0.0.1"], false));
    assert!(!ok("rebound.example.org", &["127.0.0.1"], true));
    assert!(ok("localhost", &["127.0.0.1", "::1"], true));
    assert!(!ok("localhost", &["127.0.0.1"], false));
    assert!(!ok("localhost", &["10.0.0.1"], true));
}

#[test]
fn an_owner_may_write_an_address_of_theirs_and_none_of_a_metadata_service() {
    let is_asked = |url: &str, private| client_to(url, private).is_ok();
    for url in [
        "http://localhost:8/mcp",
        "http://127.0.0.1:8/mcp",
        "http://[::1]:8/mcp",
        "https://example.org/mcp",
        "https://8.8.8.8/mcp",
        "https://[64:ff9b::808:808]/mcp",
    ] {
        assert!(is_asked(url, false), "{url}");
    }
    for url in
        ["https://10.1.2.3/", "https://192.168.0.9/", "https://[fd12::1]/", "https://100.64.0.1/"]
    {
        assert!(is_asked(url, true) && !is_asked(url, false), "{url}");
    }
    for url in [
        "https://169.254.169.254/latest/meta-data/",
        "https://[fe80::1]/",
        "https://[fd00:ec2::254]/",
        "https://100.100.100.200/",
        "https://168.63.129.16/",
        "https://0.0.0.0/",
        "https://[::]/",
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://[64:ff9b::a00:1]/",
        "https://[2002:a00:1::1]/",
        "https://[2002:7f00:1::1]/",
        "https://[::ffff:169.254.169.254]/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
    ] {
        assert!(!is_asked(url, true), "{url}");
    }
    let why = client_to("https://10.1.2.3/", false).unwrap_err();
    assert!(why.contains("no public address") && why.contains("`private: true`"), "{why}");
    let at = |it: &str| vec![SocketAddr::new(it.parse().unwrap(), 0)];
    let may = May { loopback: false, private: true };
    assert!(filtered("mcp.example.org", at("10.1.2.3"), may).is_ok());
    for address in ["169.254.169.254", "127.0.0.1", "::1", "fe80::1"] {
        assert!(filtered("mcp.example.org", at(address), may).is_err(), "{address}");
    }
}

#[test]
fn another_host_leads_nobody_to_this_machine() {
    let rules = Fetch { hosts: None, loopback: true };
    let url = |it: &str| Url::parse(it).unwrap();
    let (there, here) = (url("https://example.org/"), url("http://127.0.0.1:8/"));
    assert!(admits(&rules, &here, Some(&there)).is_err());
    assert_eq!(admits(&rules, &here, Some(&here)), Ok(()));
    assert_eq!(admits(&rules, &there, Some(&here)), Ok(()));
}
