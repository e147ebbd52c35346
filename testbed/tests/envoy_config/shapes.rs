//! Every shape that can be generated, given to Envoy's own validation, as JSON and as YAML.

use meshwall_mesh_config::envoy::{
    Bootstrap, ClientTls, Cluster, ConfigSource, Direction, Discovery, Endpoints, Firewall, Http,
    JwtIssuer, Listener, Paths, Program, Protocol, UpstreamProtocol,
};
use meshwall_testbed::rig::envoy::DiscoveryFile;
use meshwall_testbed::rig::token::TokenIssuer;

use crate::support::{LOOPBACK, World, bootstrap, cluster, http, tcp};

fn discovered(world: &World, source: ConfigSource) -> Option<Firewall> {
    let discovery = Discovery {
        resource: "meshwall/inbound".to_owned(),
        source,
    };
    Some(Firewall {
        module: world.module(),
        program: Program::Discovered(discovery),
    })
}

fn full(world: &World) -> Bootstrap {
    let issuer = TokenIssuer::new("https://issuer.example").unwrap();
    let jwt_issuers = vec![
        JwtIssuer {
            name: "shop".to_owned(),
            issuer: issuer.issuer().to_owned(),
            audiences: vec!["ledger".to_owned()],
            jwks: issuer.jwks(),
        },
        JwtIssuer {
            name: "other".to_owned(),
            issuer: "https://other.example".to_owned(),
            audiences: Vec::new(),
            jwks: issuer.jwks(),
        },
    ];
    let xds = ConfigSource::Grpc {
        cluster: "xds".to_owned(),
    };
    // Envoy wants the file to be there.
    let file = DiscoveryFile::new(world.folder.path(), "filter.json");
    file.publish("0", &[]).unwrap();
    let file = ConfigSource::File(file.path().to_path_buf());
    let tokens = Protocol::Http(Http {
        jwt_issuers,
        trusted_hops: 1,
        ..http()
    });
    let as_sent = Protocol::Http(Http {
        paths: Paths::AsSent,
        ..http()
    });
    let plain = |name, protocol| Listener {
        direction: Direction::Outbound,
        tls: None,
        ..world.inbound(name, protocol)
    };
    let listeners = vec![
        world.inbound("http", tokens),
        world.inbound("tcp", tcp()),
        Listener {
            tls: Some(world.server_tls(world.per_domain())),
            firewall: discovered(world, xds.clone()),
            ..world.inbound("http from xds", Protocol::Http(http()))
        },
        Listener {
            firewall: discovered(world, xds),
            ..world.inbound("tcp from xds", tcp())
        },
        Listener {
            firewall: discovered(world, file),
            ..world.inbound("http from a file", as_sent)
        },
        plain("outbound http", Protocol::Http(http())),
        plain("outbound tcp", tcp()),
        Listener {
            firewall: None,
            ..world.inbound("open", Protocol::Http(http()))
        },
    ];
    let upstream = |name: &str, protocol, trust| Cluster {
        tls: Some(ClientTls {
            certificate: world.certificate("ledger"),
            trust,
            sni: Some("frontend.shop".to_owned()),
            expected_uris: vec!["spiffe://cluster.local/ns/shop/sa/frontend".to_owned()],
        }),
        ..cluster(name, LOOPBACK, protocol)
    };
    let clusters = vec![
        cluster("app", LOOPBACK, UpstreamProtocol::AsDownstream),
        cluster("raw", LOOPBACK, UpstreamProtocol::Tcp),
        upstream(
            "peers over HTTP/1",
            UpstreamProtocol::Http1,
            world.any_authority(),
        ),
        upstream(
            "peers over HTTP/2",
            UpstreamProtocol::Http2,
            world.per_domain(),
        ),
        Cluster {
            endpoints: Endpoints::Name {
                host: "meshwall.example".to_owned(),
                port: 15010,
            },
            ..cluster("xds", LOOPBACK, UpstreamProtocol::Http2)
        },
    ];
    Bootstrap {
        admin: Some(LOOPBACK),
        ..bootstrap(listeners, clusters)
    }
}

#[test]
fn envoy_accepts_every_shape_as_json() {
    let world = World::new();
    world.envoy.validate(&full(&world).to_json()).unwrap();
}

#[test]
fn envoy_accepts_every_shape_as_commented_yaml() {
    let world = World::new();
    world
        .envoy
        .validate_text(&full(&world).to_yaml(), "yaml")
        .unwrap();
}

#[test]
fn envoy_says_what_it_does_not_accept() {
    let world = World::new();
    let mut config = full(&world).to_json();
    config["static_resources"]["listeners"][0]["addres"] = "here".into();
    let error = world.envoy.validate(&config).unwrap_err().to_string();
    assert!(
        error.starts_with("Envoy refuses the configuration: "),
        "{error}"
    );
    assert!(error.contains("addres"), "{error}");
}
