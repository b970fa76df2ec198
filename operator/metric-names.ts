/** Every metric of the controller with its help text; docs/reference/metrics.md lists them, and a test holds it to this table. */
export const CONTROLLER_METRICS = {
  controller_runtime_reconcile_total: 'Visits, by result.',
  controller_runtime_reconcile_errors_total: 'Visits that failed.',
  controller_runtime_reconcile_time_seconds: 'Length of a visit.',
  controller_runtime_active_workers: 'Visits under way.',
  controller_runtime_max_concurrent_reconciles: 'Most visits at once.',
  workqueue_depth: 'Jobs that wait for a visit.',
  workqueue_adds_total: 'Jobs put into the queue.',
  workqueue_retries_total: 'Visits that were repeated after a failure.',
  workqueue_queue_duration_seconds: 'How long jobs waited for their visit.',
  workqueue_work_duration_seconds: 'How long visits took.',
  workqueue_longest_running_processor_seconds: 'The longest visit under way.',
  workqueue_unfinished_work_seconds: 'All visits under way, added up.',
  leader_election_master_status: 'Whether this controller leads.',
  soapstone_api_requests_total: 'Requests to the API server beside watches, by method.',
  rest_client_requests_total:
    'Answers of the API server beside watches and lists, by method and HTTP status; `<error>` where there was none.',
  soapstone_apply_failures_total: 'Visits that could not create, change or delete all that they decided, by reason.',
  soapstone_watch_stale_seconds: 'How long the API server has failed to answer a watch; 0 while every watch stands.',
  soapstone_namespace_refused:
    '1 for a watched namespace that the API server refuses to the controller, whose jobs stand still; else 0, without a namespace where all are watched.',
  soapstone_searches_running: 'Searches under way.',
  soapstone_searches_waiting: 'Searches that wait for a thread.',
  soapstone_searches_total: 'Searches, and checks of plans that jobs give, that ended for good, by result.',
  soapstone_search_seconds: 'Length of a search, from when its files are read.',
  soapstone_search_proposals_total: 'Proposals that searches tried; its rate is proposals per second.',
  soapstone_jobs: 'Jobs, by state.',
  soapstone_devices_in_use: 'Devices of jobs that start or run.',
  soapstone_job_predicted_iteration_seconds:
    'Predicted time of an iteration, of a job with a plan (of at most 1,000 jobs).',
  soapstone_job_measured_iteration_seconds:
    'Measured time of an iteration, of a running job, as of the last minute or so (of at most 1,000 jobs).',
  soapstone_job_progress_ratio: 'Share of its steps that a running job has done (of at most 1,000 jobs).',
  soapstone_job_state: 'Always 1: the state that a job is in (this and what follows: of at most 1,000 jobs).',
  soapstone_job_devices: 'Devices of a job.',
  soapstone_job_attempt: 'The attempt a job is at, counted from 0: how often it was restarted.',
  soapstone_job_failures: 'Attempts of a job that ended without success, by why.',
  soapstone_job_search_best_iteration_seconds:
    "Predicted time of an iteration of the best strategy of a job's search so far.",
  soapstone_job_search_proposals_total: "Proposals that a job's search tried.",
  soapstone_job_search_accepted_total: "Proposals that a job's search accepted.",
  soapstone_job_baseline_iteration_seconds:
    'Predicted time of an iteration of the strategies that a plan is compared with, such as data parallelism.',
} as const;

/** One of them. */
export type MetricName = keyof typeof CONTROLLER_METRICS;
