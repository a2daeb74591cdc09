using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.Worker;
using Kind = VoicePlatform.LiveKit.Protocol.WorkerMessage.MessageOneofCase;

namespace VoicePlatform.Tests.LiveKit;

internal sealed class AgentWorkerTests
{
    private readonly CancellationTokenSource _stop = new();
    private readonly Jobs _jobs = new();
    private readonly Warnings _warnings = new();
    private ScriptedLiveKit _livekit = null!;
    private AgentWorker _worker = null!;
    private Task _running = Task.CompletedTask;

    [SetUp]
    public async Task Start()
    {
        _livekit = await ScriptedLiveKit.StartAsync();
        Run(pingInterval: TimeSpan.FromSeconds(30));
    }

    private void Run(TimeSpan pingInterval)
    {
        var options = new AgentWorkerOptions
        {
            AgentName = "tester",
            StatusInterval = TimeSpan.FromMilliseconds(50),
            PingInterval = pingInterval,
            AssignmentTimeout = TimeSpan.FromSeconds(5),
            ReconnectDelay = TimeSpan.FromMilliseconds(20),
        };
        _worker = new AgentWorker(_livekit.Server, options, _jobs, TimeProvider.System, _warnings);
        _running = _worker.RunAsync(_stop.Token);
    }

    [TearDown]
    public async Task Stop()
    {
        await _stop.CancelAsync();
        await _running.WaitAsync(TimeSpan.FromSeconds(10), TimeProvider.System);
        await _livekit.DisposeAsync();
        _stop.Dispose();
    }

    [Test]
    public async Task A_worker_registers_as_livekits_own_does()
    {
        var peer = await _livekit.AcceptAsync();
        var register = (await peer.ReceiveAsync(Kind.Register))!.Register;

        Assert.That((register.AgentName, register.Type), Is.EqualTo(("tester", JobType.JtRoom)));
        Assert.That(register.AllowedPermissions, Is.EqualTo(new ParticipantPermission { CanPublish = true, CanSubscribe = true, CanPublishData = true, CanUpdateMetadata = true, Agent = true }));
    }

    [Test]
    public async Task A_job_goes_from_offer_to_success()
    {
        var peer = await _livekit.RegisterAsync();
        await peer.OfferAsync("AJ_1");
        var answer = (await peer.ReceiveAsync(Kind.Availability))!.Availability;
        Assert.That((answer.JobId, answer.Available, answer.ParticipantIdentity), Is.EqualTo(("AJ_1", true, "agent-AJ_1")));
        Assert.That(answer.ParticipantAttributes["lk.agent.name"], Is.EqualTo("tester"));

        await peer.AssignAsync("AJ_1");
        Assert.That((await peer.ReceiveJobStatusAsync()).Status, Is.EqualTo(JobStatus.JsRunning));
        Assert.That(_worker.RunningJobs, Is.EqualTo(1));
        var job = await _jobs.StartedAsync();
        Assert.That((job.Token, job.Url), Is.EqualTo(("token-AJ_1", _livekit.Server.WebSocketUrl.ToString())));

        _jobs.Finish("AJ_1");
        Assert.That(await peer.ReceiveJobStatusAsync(), Is.EqualTo(new UpdateJobStatus { JobId = "AJ_1", Status = JobStatus.JsSuccess }));
    }

    [Test]
    public async Task A_failed_job_is_told_with_its_error_and_others_go_on()
    {
        var peer = await _livekit.RegisterAsync();
        await RunAsync(peer, "AJ_1");
        await RunAsync(peer, "AJ_2");

        _jobs.Fail("AJ_1", new InvalidOperationException("no voice"));

        Assert.That(await peer.ReceiveJobStatusAsync(), Is.EqualTo(new UpdateJobStatus { JobId = "AJ_1", Status = JobStatus.JsFailed, Error = "no voice" }));
        Assert.That(_worker.RunningJobs, Is.EqualTo(1));
    }

    [Test]
    public async Task A_job_may_be_refused_and_a_failing_decision_is_a_refusal()
    {
        var peer = await _livekit.RegisterAsync();
        _jobs.Decide = _ => new JobDecision.Refuse();
        await peer.OfferAsync("AJ_1");
        Assert.That((await peer.ReceiveAsync(Kind.Availability))!.Availability.Available, Is.False);

        _jobs.Decide = _ => throw new InvalidOperationException();
        await peer.OfferAsync("AJ_2");
        Assert.That((await peer.ReceiveAsync(Kind.Availability))!.Availability.Available, Is.False);
    }

    [Test]
    public async Task An_assignment_nobody_accepted_is_not_run()
    {
        var peer = await _livekit.RegisterAsync();
        await peer.AssignAsync("AJ_9");

        Assert.That(await peer.ReceiveJobStatusAsync(), Is.EqualTo(new UpdateJobStatus { JobId = "AJ_9", Status = JobStatus.JsFailed, Error = "The assignment came too late." }));
        Assert.That(_worker.RunningJobs, Is.Zero);
    }

    [Test]
    public async Task The_server_can_end_a_job()
    {
        var peer = await _livekit.RegisterAsync();
        await RunAsync(peer, "AJ_1");

        await peer.SendAsync(new ServerMessage { Termination = new JobTermination { JobId = "AJ_1" } });

        Assert.That((await peer.ReceiveJobStatusAsync()).Status, Is.EqualTo(JobStatus.JsSuccess));
        Assert.That(_jobs.Cancelled, Does.Contain("AJ_1"));
    }

    [Test]
    public async Task Load_is_told_again_and_again_and_a_full_worker_says_so()
    {
        var peer = await _livekit.RegisterAsync();
        Assert.That((await peer.ReceiveAsync(Kind.UpdateWorker))!.UpdateWorker.Status, Is.EqualTo(WorkerStatus.WsAvailable));
        _jobs.CurrentLoad = (0.9, false);

        UpdateWorkerStatus update;
        do
        {
            update = (await peer.ReceiveAsync(Kind.UpdateWorker))!.UpdateWorker;
        }
        while (update.Status != WorkerStatus.WsFull);

        Assert.That(update.Load, Is.EqualTo(0.9f));
    }

    [Test]
    public async Task After_a_break_the_worker_registers_anew_and_its_jobs_run_on()
    {
        var first = await _livekit.RegisterAsync();
        await RunAsync(first, "AJ_1");
        await RunAsync(first, "AJ_2");
        first.Break();
        _jobs.Finish("AJ_2");

        var second = await _livekit.RegisterAsync("AW_2");
        var told = new Dictionary<string, JobStatus>();
        while (told.Count < 2 || told["AJ_2"] != JobStatus.JsSuccess)
        {
            var status = await second.ReceiveJobStatusAsync();
            told[status.JobId] = status.Status;
        }

        Assert.That(told["AJ_1"], Is.EqualTo(JobStatus.JsRunning));
        Assert.That(_jobs.Cancelled, Is.Empty);
    }

    [Test]
    public async Task A_server_that_no_longer_answers_is_left()
    {
        await _livekit.RegisterAsync();
        await _worker.DrainAsync(TimeSpan.Zero);
        await _running;
        Run(pingInterval: TimeSpan.FromMilliseconds(50));

        await _livekit.RegisterAsync();
        await _livekit.RegisterAsync("AW_2");
    }

    [Test]
    public async Task A_server_that_talks_nonsense_is_left()
    {
        var peer = await _livekit.RegisterAsync();
        await peer.SendAsync([0xFF, 0xFF, 0xFF]);

        await _livekit.RegisterAsync("AW_2");
    }

    [Test]
    public async Task Draining_refuses_jobs_waits_for_the_running_one_and_tells_its_end()
    {
        var peer = await _livekit.RegisterAsync();
        await RunAsync(peer, "AJ_1");

        var drain = _worker.DrainAsync(TimeSpan.FromSeconds(10));
        while ((await peer.ReceiveAsync(Kind.UpdateWorker))!.UpdateWorker.Status != WorkerStatus.WsFull)
        {
        }

        await peer.OfferAsync("AJ_2");
        Assert.That((await peer.ReceiveAsync(Kind.Availability))!.Availability.Available, Is.False);
        Assert.That(_running.IsCompleted, Is.False);
        _jobs.Finish("AJ_1");

        Assert.That((await peer.ReceiveJobStatusAsync()).Status, Is.EqualTo(JobStatus.JsSuccess));
        Assert.That(await peer.ReceiveAsync(Kind.Register), Is.Null);
        await drain;
        await _running.WaitAsync(TimeSpan.FromSeconds(5), TimeProvider.System);
    }

    [Test]
    public async Task Draining_ends_jobs_that_take_too_long()
    {
        var peer = await _livekit.RegisterAsync();
        await RunAsync(peer, "AJ_1");

        var drain = _worker.DrainAsync(TimeSpan.FromMilliseconds(50));
        Assert.That((await peer.ReceiveJobStatusAsync()).Status, Is.EqualTo(JobStatus.JsSuccess));
        Assert.That(await peer.ReceiveAsync(Kind.Register), Is.Null);
        await drain;

        await _running.WaitAsync(TimeSpan.FromSeconds(5), TimeProvider.System);
        Assert.That(_jobs.Cancelled, Does.Contain("AJ_1"));
    }

    [Test]
    public async Task A_worker_that_leaves_waits_for_the_servers_goodbye_whatever_ticks_come_between()
    {
        var peer = await _livekit.RegisterAsync();
        await peer.ReceiveAsync(Kind.UpdateWorker);
        await _worker.DrainAsync(TimeSpan.FromSeconds(1));

        // Six ticks long the server has other things to do.
        await Task.Delay(TimeSpan.FromMilliseconds(300), TimeProvider.System);
        Assert.That(await peer.ReceiveAsync(Kind.Register), Is.Null);
        await _running.WaitAsync(TimeSpan.FromSeconds(5), TimeProvider.System);
        Assert.That(_warnings.Said, Is.Empty, "It was no break.");
    }

    private static async Task RunAsync(ScriptedLiveKit.Peer peer, string jobId)
    {
        await peer.OfferAsync(jobId);
        await peer.ReceiveAsync(Kind.Availability);
        await peer.AssignAsync(jobId);
        Assert.That((await peer.ReceiveJobStatusAsync()).Status, Is.EqualTo(JobStatus.JsRunning));
    }

    private sealed class Warnings : ILogger<AgentWorker>
    {
        public ConcurrentQueue<string> Said { get; } = new();

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Warning;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) => Said.Enqueue(formatter(state, exception));
    }

    private sealed class Jobs : IAgentJobs
    {
        private readonly ConcurrentDictionary<string, TaskCompletionSource> _ends = new();
        private readonly System.Threading.Channels.Channel<AssignedJob> _started = System.Threading.Channels.Channel.CreateBounded<AssignedJob>(16);

        public Func<Job, JobDecision> Decide { get; set; } = _ => new JobDecision.Accept();

        public (double Load, bool Available) CurrentLoad { get; set; } = (0.1, true);

        public ConcurrentBag<string> Cancelled { get; } = [];

        public ValueTask<JobDecision> DecideAsync(Job job, CancellationToken cancellationToken) => new(Decide(job));

        public async Task RunAsync(AssignedJob job, CancellationToken cancellationToken)
        {
            await _started.Writer.WriteAsync(job, cancellationToken);
            try
            {
                await End(job.Job.Id).Task.WaitAsync(cancellationToken);
            }
            catch (OperationCanceledException)
            {
                Cancelled.Add(job.Job.Id);
                throw;
            }
        }

        public (double Load, bool Available) Load() => CurrentLoad;

        public async Task<AssignedJob> StartedAsync() => await _started.Reader.ReadAsync();

        public void Finish(string jobId) => End(jobId).TrySetResult();

        public void Fail(string jobId, Exception e) => End(jobId).TrySetException(e);

        private TaskCompletionSource End(string jobId) => _ends.GetOrAdd(jobId, _ => new TaskCompletionSource());
    }
}
