// Package gitops asks Argo CD and kstatus, which Flux uses, what they say of objects that the operator has left in a cluster.
package gitops

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/lua"
	"github.com/argoproj/gitops-engine/pkg/health"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/yaml"
)

const keyPrefix = "resource.customizations.health."

// Of each state: what Argo CD says, with a part of its message, and what kstatus says.
var states = map[string]struct {
	argo    health.HealthStatusCode
	message string
	kstatus status.Status
}{
	"just-created":            {health.HealthStatusProgressing, "has not looked at it", status.InProgressStatus},
	"changed":                 {health.HealthStatusProgressing, "has not looked at it", status.InProgressStatus},
	"waiting-for-a-reference": {health.HealthStatusProgressing, "WaitingForReference: ", status.InProgressStatus},
	"failing":                 {health.HealthStatusProgressing, "Unreachable: ", status.InProgressStatus},
	"ready":                   {health.HealthStatusHealthy, "as declared", status.CurrentStatus},
	"instance-ready":          {health.HealthStatusHealthy, "connected as", status.CurrentStatus},
	"instance-refused":        {health.HealthStatusDegraded, "Unauthenticated: ", status.FailedStatus},
	"conflict":                {health.HealthStatusDegraded, "Conflict: ", status.FailedStatus},
	"suspended":               {health.HealthStatusSuspended, "spec.suspend is true", status.InProgressStatus},
	"observing-a-difference":  {health.HealthStatusHealthy, "differs in projectRoleCheck", status.InProgressStatus},
	"observing-no-difference": {health.HealthStatusHealthy, "only observed", status.CurrentStatus},
	"deleting-waiting":        {health.HealthStatusProgressing, "Pending deletion", status.TerminatingStatus},
	"deleting-suspended":      {health.HealthStatusProgressing, "Pending deletion", status.TerminatingStatus},
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// What the ConfigMap has Argo CD know, by Argo CD's own name of each kind.
func byKind(t *testing.T) lua.ResourceHealthOverrides {
	t.Helper()
	var configMap struct{ Data map[string]string }
	if err := yaml.UnmarshalStrict(read(t, "../../docs/argocd/argocd-cm.yaml"), new(map[string]any)); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(read(t, "../../docs/argocd/argocd-cm.yaml"), &configMap); err != nil {
		t.Fatal(err)
	}
	overrides := lua.ResourceHealthOverrides{}
	for key, script := range configMap.Data {
		groupKind, ok := strings.CutPrefix(key, keyPrefix)
		if !ok {
			t.Fatalf("%s is none of Argo CD's keys", key)
		}
		overrides[strings.Replace(groupKind, "_", "/", 1)] = v1alpha1.ResourceOverride{HealthLua: script}
	}
	return overrides
}

// The same by the one entry for all kinds that the documentation shows.
func byWildcard(t *testing.T) lua.ResourceHealthOverrides {
	t.Helper()
	_, page, _ := strings.Cut(string(read(t, "../../docs/tasks/gitops.md")), "<!-- argocd -->\n```yaml\n")
	block, _, ok := strings.Cut(page, "```")
	if !ok {
		t.Fatal("the documentation shows no entry")
	}
	var configMap struct{ Data map[string]string }
	if err := yaml.Unmarshal([]byte(block), &configMap); err != nil {
		t.Fatal(err)
	}
	overrides := lua.ResourceHealthOverrides{}
	if err := yaml.Unmarshal([]byte(configMap.Data["resource.customizations"]), &overrides); err != nil {
		t.Fatal(err)
	}
	return overrides
}

func load(t *testing.T) map[string]*unstructured.Unstructured {
	t.Helper()
	paths, err := filepath.Glob("states/*.json")
	if err != nil {
		t.Fatal(err)
	}
	objects := map[string]*unstructured.Unstructured{}
	for _, path := range paths {
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(read(t, path)); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		objects[strings.TrimSuffix(filepath.Base(path), ".json")] = object
	}
	return objects
}

func TestEachStateIsJudgedAsUsersExpect(t *testing.T) {
	objects := load(t)
	if len(objects) != len(states) {
		t.Errorf("there are %d states, and %d expectations", len(objects), len(states))
	}
	forms := map[string]lua.ResourceHealthOverrides{"by kind": byKind(t), "by wildcard": byWildcard(t)}
	for name, expected := range states {
		t.Run(name, func(t *testing.T) {
			object := objects[name]
			if object == nil {
				t.Fatalf("states/%s.json is missing", name)
			}
			for form, overrides := range forms {
				said, err := health.GetResourceHealth(object, overrides)
				if err != nil {
					t.Fatalf("%s: %v", form, err)
				}
				if said == nil || said.Status != expected.argo || !strings.Contains(said.Message, expected.message) {
					t.Errorf("Argo CD, %s, says %+v, not %s %q", form, said, expected.argo, expected.message)
				}
			}
			result, err := status.Compute(object)
			if err != nil {
				t.Fatal(err)
			}
			if result.Status != expected.kstatus {
				t.Errorf("kstatus says %s (%s), not %s", result.Status, result.Message, expected.kstatus)
			}
		})
	}
}

// Every CRD has its entry, and nothing else has one.
func TestArgoKnowsEveryKind(t *testing.T) {
	paths, err := filepath.Glob("../../crds/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no CRDs: %v", err)
	}
	kinds, wildcard := byKind(t), byWildcard(t)
	if len(kinds) != len(paths) {
		t.Errorf("there are %d kinds, and Argo CD is told of %d", len(paths), len(kinds))
	}
	for _, path := range paths {
		var crd struct {
			Spec struct {
				Group string
				Names struct{ Kind string }
			}
		}
		if err := yaml.Unmarshal(read(t, path), &crd); err != nil {
			t.Fatal(err)
		}
		object := &unstructured.Unstructured{Object: map[string]any{}}
		object.SetAPIVersion(crd.Spec.Group + "/v1alpha1")
		object.SetKind(crd.Spec.Names.Kind)
		object.SetGeneration(1)
		for form, overrides := range map[string]lua.ResourceHealthOverrides{"by kind": kinds, "by wildcard": wildcard} {
			said, err := health.GetResourceHealth(object, overrides)
			if err != nil || said == nil || said.Status != health.HealthStatusProgressing {
				t.Errorf("%s %s: %+v, %v", crd.Spec.Names.Kind, form, said, err)
			}
		}
	}
}

// Whatever is in the conditions, the script answers with one of Argo CD's words: it does not fail.
func TestUnfinishedStatusesAreNoErrors(t *testing.T) {
	known := []health.HealthStatusCode{health.HealthStatusProgressing, health.HealthStatusSuspended}
	for _, text := range []string{
		`{}`,
		`{"status": {}}`,
		`{"status": {"observedGeneration": 1}}`,
		`{"status": {"observedGeneration": 1, "conditions": []}}`,
		`{"status": {"observedGeneration": 1, "conditions": [{"type": "Other", "status": "True"}]}}`,
		`{"status": {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "False", "reason": "Creating", "message": ""}]}}`,
		`{"status": {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "Unknown", "reason": "Suspended", "message": ""}]}}`,
	} {
		object := &unstructured.Unstructured{}
		if err := json.Unmarshal([]byte(text), &object.Object); err != nil {
			t.Fatal(err)
		}
		object.SetAPIVersion("zitadel.kastellan.dev/v1alpha1")
		object.SetKind("Project")
		object.SetGeneration(1)
		said, err := health.GetResourceHealth(object, byKind(t))
		if err != nil || said == nil || !slices.Contains(known, said.Status) {
			t.Errorf("%s: %+v, %v", text, said, err)
		}
	}
}

// The tutorial's Application has no field that Argo CD does not know.
func TestTheTutorialsApplicationIsOne(t *testing.T) {
	for _, block := range strings.Split(string(read(t, "../../docs/tutorial.md")), "```yaml\n") {
		block, _, _ = strings.Cut(block, "```")
		if !strings.Contains(block, "\nkind: Application\n") {
			continue
		}
		var application v1alpha1.Application
		if err := yaml.UnmarshalStrict([]byte(block), &application); err != nil {
			t.Fatal(err)
		}
		if source := application.Spec.GetSource(); source.Path != "zitadel" || source.RepoURL == "" {
			t.Errorf("it has another source: %+v", source)
		}
		if !application.Spec.SyncPolicy.Automated.Prune {
			t.Error("it does not prune")
		}
		return
	}
	t.Fatal("the tutorial shows no Application")
}
