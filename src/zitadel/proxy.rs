//! The proxy that the environment names.

use reqwest::{ClientBuilder, NoProxy, Proxy, Url};

use super::error::ConfigurationProblem;

/// The proxies for each scheme, and the hosts that are reached without one.
#[derive(Default)]
pub(super) struct Proxies {
    http: Option<Url>,
    https: Option<Url>,
    except: Option<String>,
}

impl Proxies {
    /// Reads `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`; lower case goes first.
    pub(super) fn read(
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigurationProblem> {
        let text = |variable: &str| {
            environment(&variable.to_ascii_lowercase())
                .or_else(|| environment(variable))
                .map(|text| text.trim().to_owned())
                .filter(|text| !text.is_empty())
        };
        let proxy = |variable: &'static str| {
            let Some(text) = text(variable) else { return Ok(None) };
            let text = if text.contains("://") { text } else { format!("http://{text}") };
            Url::parse(&text)
                .ok()
                .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
                .map(Some)
                .ok_or(ConfigurationProblem::Proxy { variable })
        };
        let (http, https) = (proxy("HTTP_PROXY")?, proxy("HTTPS_PROXY")?);
        let all = if http.is_some() && https.is_some() { None } else { proxy("ALL_PROXY")? };
        Ok(Self {
            http: http.or_else(|| all.clone()),
            https: https.or(all),
            except: text("NO_PROXY"),
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.http.is_none() && self.https.is_none()
    }

    /// The hosts of the proxies themselves.
    pub(super) fn hosts(&self) -> Vec<String> {
        let urls = [&self.http, &self.https].into_iter().flatten();
        urls.filter_map(|url| url.host_str().map(ToOwned::to_owned)).collect()
    }

    /// Makes a client use these and no others.
    pub(super) fn apply(&self, mut builder: ClientBuilder) -> reqwest::Result<ClientBuilder> {
        builder = builder.no_proxy();
        let except = || self.except.as_deref().and_then(NoProxy::from_string);
        if let Some(url) = &self.http {
            builder = builder.proxy(Proxy::http(url.clone())?.no_proxy(except()));
        }
        if let Some(url) = &self.https {
            builder = builder.proxy(Proxy::https(url.clone())?.no_proxy(except()));
        }
        Ok(builder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(environment: &[(&str, &str)]) -> Result<Proxies, ConfigurationProblem> {
        Proxies::read(|name| {
            environment.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_environment_names_a_proxy_for_each_scheme() {
        for (environment, hosts) in [
            (&[][..], &[][..]),
            (&[("HTTPS_PROXY", " ")], &[]),
            (&[("HTTP_PROXY", "http://a:1")], &["a"]),
            (&[("HTTPS_PROXY", "b:3128"), ("https_proxy", "c:3128")], &["c"]),
            (&[("ALL_PROXY", "http://d"), ("HTTP_PROXY", "http://a")], &["a", "d"]),
            (&[("NO_PROXY", "x")], &[]),
        ] {
            assert_eq!(read(environment).unwrap().hosts(), hosts, "{environment:?}");
        }
    }

    #[test]
    fn what_is_no_proxy_is_said_without_its_password() {
        for url in ["socks5://user:s3cret@a", "http://", "http://user:s3cret@:x"] {
            let Err(problem) = read(&[("HTTPS_PROXY", url)]) else { panic!("accepted: {url}") };
            assert_eq!(problem, ConfigurationProblem::Proxy { variable: "HTTPS_PROXY" });
            assert!(!format!("{problem} {problem:?}").contains("s3cret"));
        }
    }
}
