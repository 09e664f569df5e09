"""Causes of incidents: by which signs each shows, and what mends it. General background knowledge, as data.

A remedy speaks of the cause and an incident of its signs, and the two seldom share a word. Each entry joins one
cause's signs with its remedies, paraphrased from the documentation that it names. An entry may say nothing that is
true of one installation or one recorded incident only, and no remedy that fits every cause ("revert the change").
"""

from __future__ import annotations

from typing import NamedTuple


class Concept(NamedTuple):
    """One cause. `signs` is what is seen from outside, `remedies` what is changed, `source` where it is told."""

    name: str
    signs: str
    remedies: str
    source: str


_K8S = "https://kubernetes.io/docs/"
_DEBUG = _K8S + "tasks/debug/debug-application/"
_PODS = _K8S + "concepts/workloads/pods/"
_WORK = _K8S + "concepts/workloads/"
_SCHEDULING = _K8S + "concepts/scheduling-eviction/"
_POLICY = _K8S + "concepts/policy/"
_NET = _K8S + "concepts/services-networking/"
_CONFIG = _K8S + "concepts/configuration/"
_ISTIO = "https://istio.io/latest/docs/"
_SRE = "https://sre.google/sre-book/"
_POSTGRES = "https://www.postgresql.org/docs/current/"
_LINUX = "https://www.kernel.org/doc/html/latest/"

CONCEPTS: tuple[Concept, ...] = (
    Concept(
        "node that takes no pods",
        "Pods stay Pending with a FailedScheduling warning: nodes are unschedulable, cordoned or tainted.",
        "Uncordon the node, remove its taint, or add a toleration to the pod; mark the node as schedulable.",
        _SCHEDULING + "taint-and-toleration/",
    ),
    Concept(
        "placement that no node satisfies",
        "Pods stay Pending, FailedScheduling: nodes did not match the pod's node selector, node name or affinity.",
        "Change the node selector, node name or affinity in the workload to a node that exists; label the node.",
        _SCHEDULING + "assign-pod-node/",
    ),
    Concept(
        "cluster without capacity",
        "Pods stay Pending, FailedScheduling: insufficient cpu or insufficient memory, no node has room.",
        "Lower the resource requests of the workload, add a node, scale the cluster or its node pool up.",
        _DEBUG + "debug-pods/",
    ),
    Concept(
        "resource quota",
        "New pods of a namespace are not created or stay Pending: FailedCreate, forbidden, exceeded quota.",
        "Raise or delete the ResourceQuota of the namespace, or remove workloads that use the quota up.",
        _POLICY + "resource-quotas/",
    ),
    Concept(
        "limit range",
        "Pods are rejected because the minimum or maximum usage per container is violated, invalid requests.",
        "Change the LimitRange of the namespace, or the container's requests and limits to lie within it.",
        _POLICY + "limit-range/",
    ),
    Concept(
        "priority and preemption",
        "Running pods are preempted by pods of a higher priority class and go back to Pending.",
        "Correct the PriorityClass of the workload.",
        _SCHEDULING + "pod-priority-preemption/",
    ),
    Concept(
        "volume that cannot be had",
        "Pods stay Pending or ContainerCreating: FailedMount, FailedAttachVolume, unbound persistent volume claims.",
        "Create or bind the PersistentVolumeClaim, correct its StorageClass or access mode.",
        _K8S + "concepts/storage/persistent-volumes/",
    ),
    Concept(
        "image that cannot be pulled",
        "Container waits with ImagePullBackOff or ErrImagePull: image not found, unauthorized, no manifest.",
        "Correct the container's image in the workload: its name, tag, registry, pull secret or CPU architecture.",
        _K8S + "concepts/containers/images/",
    ),
    Concept(
        "program built for another processor",
        "Container ends at once with exec format error; the image has no build for the node's processor.",
        "Use an image that supports the CPU architecture of the node, or nodes with that architecture.",
        _K8S + "concepts/containers/images/",
    ),
    Concept(
        "init container",
        "Pod stays Pending in Init; its containers wait with PodInitializing while an init container runs or crashes.",
        "Correct or remove the init container in the workload's manifest: its command, image or dependency.",
        _PODS + "init-containers/",
    ),
    Concept(
        "program that ends again and again",
        "CrashLoopBackOff: container Terminated with exit code 1, restarts rise, back-off restarting failed container.",
        "Correct the command, arguments, environment variables or configuration (ConfigMap) of the container.",
        _PODS + "pod-lifecycle/",
    ),
    Concept(
        "configuration or secret missing",
        "CreateContainerConfigError: config map or secret not found, key missing, environment variable not set.",
        "Create or correct the ConfigMap or Secret, or the key to which the pod refers.",
        _CONFIG + "configmap/",
    ),
    Concept(
        "out of memory",
        "OOMKilled: container Terminated with exit code 137, CrashLoopBackOff, memory at its limit, out of memory.",
        "Raise the memory limit or request of the container; lower the heap or the maximum memory of the program.",
        _CONFIG + "manage-resources-containers/",
    ),
    Concept(
        "no resource limits",
        "A pod consumes ever more cpu or memory without bounds, and its neighbours on the node suffer.",
        "Set resource requests and limits on the container in the workload.",
        _CONFIG + "manage-resources-containers/",
    ),
    Concept(
        "cpu throttling",
        "CPUThrottlingHigh: container is throttled at its cpu limit, slow while the node is idle.",
        "Raise or remove the cpu limit of the container.",
        _CONFIG + "manage-resources-containers/",
    ),
    Concept(
        "readiness probe",
        "Pod runs and is not Ready: ContainersNotReady, readiness probe failed, taken out of the endpoints.",
        "Correct the readiness probe of the container in the workload: path, port, command, delay, timeout.",
        _PODS + "probes/",
    ),
    Concept(
        "liveness or startup probe",
        "Container is killed and restarted though it works: liveness probe failed, startup probe failed, Unhealthy.",
        "Correct the liveness probe or startup probe of the container: path, port, initial delay, failure threshold.",
        _PODS + "probes/",
    ),
    Concept(
        "service selects no pods",
        "Pods run and are ready, but others cannot reach or communicate with them: the service has no endpoints.",
        "Correct the selector or labels in the manifest of the service so that it matches the workload's pods.",
        _DEBUG + "debug-service/",
    ),
    Concept(
        "wrong port",
        "Others cannot communicate with a service on its port: connection refused, though its pods are ready.",
        "Correct the port or target port in the manifest of the service to the port that the container listens on.",
        _DEBUG + "debug-service/",
    ),
    Concept(
        "no replicas",
        "There are no pods of the workload, none is running: it receives no requests and dependents cannot reach it.",
        "Scale the deployment or stateful set up: set its replicas to one or more.",
        _WORK + "controllers/deployment/",
    ),
    Concept(
        "too few replicas",
        "Load rises, every pod is busy, latency grows, the autoscaler stands at its maximum.",
        "Scale out: raise the replicas of the deployment or the maximum of the HorizontalPodAutoscaler.",
        _WORK + "autoscaling/horizontal-pod-autoscale/",
    ),
    Concept(
        "autoscaler",
        "The horizontal pod autoscaler does not scale or flaps: metrics missing, wrong target, KubeHpaMaxedOut.",
        "Correct the HorizontalPodAutoscaler: target, minimum and maximum; install the metrics server.",
        _WORK + "autoscaling/horizontal-pod-autoscale/",
    ),
    Concept(
        "rollout that is stuck",
        "A deployment does not progress: ProgressDeadlineExceeded, replicas mismatch, old and new pods side by side.",
        "Resume, pause or undo the rollout of the deployment.",
        _WORK + "controllers/deployment/",
    ),
    Concept(
        "node not ready",
        "Node NotReady or unreachable, kubelet stopped posting status, its pods are Terminating or Unknown.",
        "Drain the node, restart its kubelet or container runtime, or replace the machine.",
        _K8S + "concepts/architecture/nodes/",
    ),
    Concept(
        "node under pressure",
        "Pods are Evicted: DiskPressure, MemoryPressure or PIDPressure on the node.",
        "Free disk or memory on the node: remove unused images, move workloads elsewhere.",
        _SCHEDULING + "node-pressure-eviction/",
    ),
    Concept(
        "api server overloaded",
        "Requests to the Kubernetes API are slow or throttled; new workloads are not scheduled, controllers lag.",
        "Stop or delete the client or job that floods the API server; limit it by priority and fairness.",
        _K8S + "concepts/cluster-administration/flow-control/",
    ),
    Concept(
        "rights of a service account",
        "Forbidden, 403: the service account cannot get, list or create; access denied.",
        "Grant the Role by a RoleBinding, correct the ServiceAccount of the workload.",
        _K8S + "reference/access-authn-authz/rbac/",
    ),
    Concept(
        "network policy",
        "Connections between ready pods time out, traffic to or from a namespace is dropped.",
        "Delete or correct the NetworkPolicy so that ingress and egress are allowed.",
        _NET + "network-policies/",
    ),
    Concept(
        "mutual TLS in the mesh",
        "Connection reset, a pod's requests to other pods fail: mutual TLS is strict and one side is not in the mesh.",
        "Set the PeerAuthentication to permissive, or bring the namespace or workload into the service mesh (Istio).",
        _ISTIO + "concepts/security/",
    ),
    Concept(
        "authorization in the mesh",
        "RBAC access denied by the proxy, 403: requests are denied by a policy of the service mesh.",
        "Correct or delete the AuthorizationPolicy: principal, method or path.",
        _ISTIO + "concepts/security/",
    ),
    Concept(
        "workload outside of the mesh",
        "Traffic is not routed through the service mesh: no proxy, none of its policies and no metrics of it.",
        "Label the namespace for ambient mode or sidecar injection, so that the mesh (Istio) takes in its workloads.",
        _ISTIO + "ambient/usage/add-workloads/",
    ),
    Concept(
        "routes of the mesh",
        "Requests go to the wrong version, get fixed delays or aborts, 503 no healthy upstream.",
        "Correct or delete the VirtualService, DestinationRule or Gateway; remove the injected fault.",
        _ISTIO + "concepts/traffic-management/",
    ),
    Concept(
        "ingress",
        "404 or 502 from the ingress: host or path without a backend, the load balancer has no healthy target.",
        "Correct host, path, backend or class of the Ingress, or the health check of the load balancer.",
        _NET + "ingress/",
    ),
    Concept(
        "name resolution",
        "NXDOMAIN, no such host, temporary failure in name resolution, SERVFAIL, CoreDNS is slow.",
        "Correct the DNS record, host name or DNS policy; restart or scale CoreDNS.",
        _K8S + "tasks/administer-cluster/dns-debugging-resolution/",
    ),
    Concept(
        "certificate",
        "TLS handshake fails, x509: certificate expired or not yet valid, unknown authority.",
        "Renew the certificate and reload the server; correct the trusted authorities.",
        "https://www.rfc-editor.org/rfc/rfc5280",
    ),
    Concept(
        "credentials",
        "Authentication failed, 401, password or token expired or wrong, login denied.",
        "Rotate or restore the password or token, and restart what uses it.",
        _CONFIG + "secret/",
    ),
    Concept(
        "feature flag",
        "One function fails, slows down or loads the system after a feature flag was switched, without a deployment.",
        "Turn the feature flag off: set its default variant in the flag configuration.",
        "https://openfeature.dev/docs/reference/intro",
    ),
    Concept(
        "injected fault",
        "A chaos experiment runs: delays, aborts, partitions, killed pods or stress in a schedule.",
        "Pause or delete the chaos experiment and its schedule.",
        "https://principlesofchaos.org/",
    ),
    Concept(
        "bad release",
        "Errors or latency rise right after a deployment, only on the new version.",
        "Roll back to the last stable release.",
        _SRE + "emergency-response/",
    ),
    Concept(
        "overload",
        "A flood or spike of requests: queues grow, latency high, 429 and 503, load is shed.",
        "Stop the load generator, limit the rate of requests, shed load.",
        _SRE + "handling-overload/",
    ),
    Concept(
        "failing dependency",
        "Calls to another service time out or fail, retries multiply, circuit breaker opens, 502 and 504.",
        "Mend the dependency, open the circuit breaker, lower timeouts and retries, switch to a fallback.",
        _SRE + "addressing-cascading-failures/",
    ),
    Concept(
        "network delay or loss",
        "Packet loss, retransmissions, delay between hosts, partition, connections time out.",
        "Remove the traffic control rule, repair the link, move traffic to another zone.",
        _LINUX + "networking/",
    ),
    Concept(
        "process gone",
        "The process is not running: connection refused, scrape fails, target down.",
        "Start or restart the process.",
        _SRE + "effective-troubleshooting/",
    ),
    Concept(
        "process that hangs",
        "The process runs and answers nothing: deadlock, blocked threads, long garbage collection.",
        "Take a thread dump and restart the process.",
        _SRE + "effective-troubleshooting/",
    ),
    Concept(
        "memory leak",
        "Resident memory or heap grows steadily over hours, garbage collection takes ever longer.",
        "Restart the process, roll back the version that leaks.",
        _LINUX + "admin-guide/mm/",
    ),
    Concept(
        "cpu saturated",
        "Load average and cpu usage high, run queue long, everything on the host is slow.",
        "Stop the process that burns cpu, lower its priority, add cpu.",
        _LINUX + "accounting/psi.html",
    ),
    Concept(
        "disk full",
        "No space left on device, file system almost out of space or inodes.",
        "Delete old logs or files, rotate logs, grow the file system.",
        _LINUX + "filesystems/",
    ),
    Concept(
        "slow disk",
        "Disk latency and io wait high, fsync slow, commits take long.",
        "Move to a faster disk, stop the job that loads the disk, replace the device.",
        _LINUX + "accounting/psi.html",
    ),
    Concept(
        "database connections",
        "Too many clients already, remaining connection slots are reserved, pool exhausted.",
        "End idle sessions, enlarge the connection pool or max connections, put a pooler in front.",
        _POSTGRES + "runtime-config-connection.html",
    ),
    Concept(
        "database locks",
        "Queries wait for locks, deadlock detected, long transactions, idle in transaction.",
        "End the blocking session, cancel the migration, set a lock timeout.",
        _POSTGRES + "explicit-locking.html",
    ),
    Concept(
        "slow queries",
        "Queries take long, sequential scans, stale statistics, database cpu high.",
        "Add an index, analyze the table, cancel the query.",
        _POSTGRES + "using-explain.html",
    ),
    Concept(
        "replication",
        "Replication lag grows, the standby is behind, read replicas return old data.",
        "Rebuild or restart the standby, drop the inactive replication slot, fail over.",
        _POSTGRES + "warm-standby.html",
    ),
    Concept(
        "queue backlog",
        "Consumer lag and queue depth grow, messages unacknowledged, the oldest message gets older.",
        "Restart or scale the consumers, move poison messages to the dead letter queue.",
        "https://www.rabbitmq.com/docs/consumers",
    ),
    Concept(
        "cache",
        "Hit ratio falls, evictions rise, the cache has no memory left, the database gets all reads.",
        "Raise the maximum memory of the cache, change its eviction policy, flush or warm it.",
        "https://valkey.io/topics/lru-cache/",
    ),
    Concept(
        "scheduled job",
        "A job failed, a cron job did not run or runs too long, backoff limit exceeded.",
        "Delete the failed job and run it again, correct its schedule or deadline.",
        _WORK + "controllers/job/",
    ),
    Concept(
        "clock",
        "Clock skew, time not synchronised, tokens not yet valid.",
        "Restart time synchronisation and step the clock.",
        "https://www.rfc-editor.org/rfc/rfc5905",
    ),
    Concept(
        "quorum",
        "No leader, members down, quorum lost, raft elections, etcd insufficient members.",
        "Start the missing members, remove and add the broken member, restore from a snapshot.",
        "https://etcd.io/docs/latest/op-guide/recovery/",
    ),
)
