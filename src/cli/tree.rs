//! `kastellan tree`

use std::collections::{BTreeMap, BTreeSet};

use super::{
    cluster::{Cluster, Place, key, trouble},
    output::{self, Exit, Result},
};
use crate::{contract::Key, engine::consent::parent, kinds::REGISTRY};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Show only this object and what is in it: KIND/NAME, such as Organization/acme.
    #[arg(value_name = "KIND/NAME")]
    object: Option<String>,
    /// Show the objects of all namespaces. Omitted: those of one, and what they are in.
    #[arg(short = 'A', long, conflicts_with = "namespace", help_heading = "Cluster")]
    all_namespaces: bool,
    #[command(flatten)]
    place: Place,
}

/// Exit code 2: something is not as declared.
pub(super) async fn run(args: Args) -> Result {
    let cluster = Cluster::read(&args.place).await?;
    let root = args.object.as_deref().map(|text| key(&cluster, text)).transpose()?;
    let is_shown = |key: &Key| args.all_namespaces || key.namespace == cluster.namespace;
    let tree = Tree::of(&cluster, is_shown);
    let roots = root.map_or_else(|| tree.roots(), |root| vec![root]);
    let mut drawn = Drawn { cluster: &cluster, tree: &tree, lines: Vec::new(), troubled: 0 };
    for root in &roots {
        drawn.draw(root, "", "");
    }
    if roots.is_empty() {
        let place = if args.all_namespaces {
            "any namespace".into()
        } else {
            format!("the namespace {}", cluster.namespace)
        };
        output::say(format!("nothing is declared in {place}"));
    }
    output::data(&drawn.lines.concat())?;
    Ok(if drawn.troubled == 0 { Exit::Fine } else { Exit::Changes })
}

/// What is in what.
struct Tree {
    /// By what they are in; `None`: nothing.
    children: BTreeMap<Option<Key>, Vec<Key>>,
}

impl Tree {
    fn of(cluster: &Cluster, is_shown: impl Fn(&Key) -> bool) -> Self {
        let mut left: Vec<Key> = cluster.objects.keys().filter(|k| is_shown(k)).cloned().collect();
        let mut shown: BTreeSet<Key> = left.iter().cloned().collect();
        let mut children: BTreeMap<Option<Key>, Vec<Key>> = BTreeMap::new();
        while let Some(key) = left.pop() {
            let above = cluster.objects.get(&key).and_then(|object| parent(&REGISTRY, object));
            // What something is in is shown with it, wherever it is, and whether it is there or not.
            if let Some(above) = above.as_ref().filter(|above| shown.insert((*above).clone())) {
                left.push(above.clone());
            }
            children.entry(above).or_default().push(key);
        }
        for siblings in children.values_mut() {
            siblings.sort();
        }
        Self { children }
    }

    /// What is in nothing. No kind is in itself by way of others, so that everything is below one.
    fn roots(&self) -> Vec<Key> {
        self.children.get(&None).cloned().unwrap_or_default()
    }
}

struct Drawn<'a> {
    cluster: &'a Cluster,
    tree: &'a Tree,
    lines: Vec<String>,
    /// How many are not as declared.
    troubled: usize,
}

impl Drawn<'_> {
    /// `first` and `rest`: what the first line begins with, and those below.
    fn draw(&mut self, key: &Key, first: &str, rest: &str) {
        let trouble = match self.cluster.objects.get(key) {
            Some(object) => trouble(object),
            None => Some("does not exist".into()),
        };
        let state = trouble.as_deref().unwrap_or("Ready");
        self.troubled += usize::from(trouble.is_some());
        let shown = output::plain(&format!("{}  {state}", self.cluster.name(key)));
        self.lines.push(format!("{first}{shown}\n"));
        let children = self.tree.children.get(&Some(key.clone())).map_or(&[][..], Vec::as_slice);
        for (at, child) in children.iter().enumerate() {
            let (branch, below) =
                if at + 1 < children.len() { ("├─ ", "│  ") } else { ("└─ ", "   ") };
            self.draw(child, &format!("{rest}{branch}"), &format!("{rest}{below}"));
        }
    }
}
