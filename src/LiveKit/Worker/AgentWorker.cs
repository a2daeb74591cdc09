using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Net.WebSockets;
using Microsoft.Extensions.Logging;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.Tokens;

namespace VoicePlatform.LiveKit.Worker;

/// <summary>
/// A LiveKit agent worker: registers under an agent name, is offered jobs, accepts some and runs them. Jobs outlive the connection: when it
/// breaks they go on, and the worker connects and registers anew, telling the server again how they stand.
/// </summary>
[SuppressMessage("Design", "CA1001", Justification = "The source has neither a timer nor a wait handle, so there is nothing to free.")]
public sealed partial class AgentWorker(
    LiveKitServer server, AgentWorkerOptions options, IAgentJobs jobs, TimeProvider clock, ILogger<AgentWorker> logger)
{
    private const int MaxMissedPongs = 3;
    private const int MaxEnds = 100;

    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan EndsToldAgain = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan CancelledJobsTimeout = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan GoodbyeTimeout = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan TokenLifetime = TimeSpan.FromHours(1);

    private readonly ConcurrentDictionary<string, CancellationTokenSource> _running = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, DateTimeOffset> _accepted = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<(UpdateJobStatus Update, DateTimeOffset At)> _ends = new();
    private readonly ConcurrentDictionary<Task, byte> _owned = new();
    private readonly CancellationTokenSource _drained = new();
    private volatile WorkerConnection? _connection;
    private volatile bool _draining;
    private int _failures;
    private int _missedPongs;
    private WorkerStatus? _toldStatus;

    /// <summary>The id the server gave us; null while not registered.</summary>
    public string? WorkerId { get; private set; }

    public int RunningJobs => _running.Count;

    /// <summary>
    /// Works until cancelled or drained. Returns when the connection is closed and every job has ended; cancellation ends the jobs too.
    /// </summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _drained.Token);
        while (!stop.IsCancellationRequested)
        {
            await ConnectOnceAsync(stop.Token);
            if (!stop.IsCancellationRequested)
            {
                await PauseAsync(stop.Token);
            }
        }

        await EndJobsAsync();
        await Task.WhenAll(_owned.Keys);
    }

    /// <summary>
    /// Takes no more jobs, waits for the running ones, ends those that take longer than <paramref name="limit"/>, and then ends
    /// <see cref="RunAsync"/>.
    /// </summary>
    public async Task DrainAsync(TimeSpan limit)
    {
        _draining = true;
        TellStatus();
        LogDraining(_running.Count);
        try
        {
            await WaitForJobsAsync().WaitAsync(limit, clock);
        }
        catch (TimeoutException)
        {
            LogDrainTimedOut(_running.Count);
            await EndJobsAsync();
        }

        await _drained.CancelAsync();
    }

    /// <summary>Until every job's end is told. One that was accepted before may still be assigned while others end.</summary>
    private async Task WaitForJobsAsync()
    {
        while (!_running.IsEmpty || !_owned.IsEmpty)
        {
            await Task.WhenAll(_owned.Keys);
        }
    }

    /// <summary>Ends the jobs while the connection stands, so that their ends are told.</summary>
    private async Task EndJobsAsync()
    {
        foreach (var job in _running.Values)
        {
            await job.CancelAsync();
        }

        await Task.WhenAll(_owned.Keys).WaitAsync(CancelledJobsTimeout, clock).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    [SuppressMessage("Design", "CA1031", Justification = "Whatever ends a connection, the worker makes a new one.")]
    private async Task ConnectOnceAsync(CancellationToken cancellationToken)
    {
        await using var connection = new WorkerConnection(options.SendQueue, clock);
        // Not linked to the caller's token: cancelling a receive tears the socket down before the last messages are sent.
        using var ended = new CancellationTokenSource();
        Task sending = Task.CompletedTask, ticking = Task.CompletedTask, leaving = Task.CompletedTask;
        try
        {
            await RegisterAsync(connection, cancellationToken);
            sending = EndWith(connection.SendAllAsync(ended.Token), ended);
            ticking = EndWith(TickAsync(connection, ended.Token), ended);
            leaving = LeaveWhenToldAsync(connection, sending, ended, cancellationToken);
            TellAgain(connection);
            while (await connection.ReceiveAsync(ended.Token) is { } message)
            {
                Handle(connection, message, cancellationToken);
            }

            LogClosed();
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested || ended.IsCancellationRequested)
        {
            LogStopped();
        }
        catch (Exception e)
        {
            LogBroken(e.Message);
        }
        finally
        {
            _connection = null;
            WorkerId = null;
            connection.FinishSending();
            await ended.CancelAsync();
            await Task.WhenAll(sending, ticking, leaving);
        }
    }

    /// <summary>When the worker is to stop: sends what is still queued (the last job's end), says goodbye, and only then lets go.</summary>
    private async Task LeaveWhenToldAsync(WorkerConnection connection, Task sending, CancellationTokenSource ended, CancellationToken cancellationToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, ended.Token);
        try
        {
            await Task.Delay(Timeout.InfiniteTimeSpan, clock, either.Token);
        }
        catch (OperationCanceledException) when (ended.IsCancellationRequested)
        {
            return;
        }
        catch (OperationCanceledException)
        {
            // The time has come.
        }

        connection.FinishSending();
        try
        {
            await sending.WaitAsync(GoodbyeTimeout, clock, ended.Token);
            await connection.SayGoodbyeAsync(ended.Token);
            await Task.Delay(GoodbyeTimeout, clock, ended.Token);
        }
        catch (Exception e) when (e is TimeoutException or OperationCanceledException or WebSocketException)
        {
            // Gone already, or not worth waiting for.
        }

        await ended.CancelAsync();
    }

    private async Task RegisterAsync(WorkerConnection connection, CancellationToken cancellationToken)
    {
        using var late = new CancellationTokenSource(ConnectTimeout, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, late.Token);
        var token = new AccessToken { Video = new VideoGrant { Agent = true } }.Sign(server.Key, clock.GetUtcNow(), TokenLifetime);
        await connection.ConnectAsync(new Uri(server.WebSocketUrl, "agent"), token, either.Token);

        var register = new RegisterWorkerRequest
        {
            Type = options.Type,
            AgentName = options.AgentName,
            Version = options.Version,
            PingInterval = (uint)options.PingInterval.TotalSeconds,
            AllowedPermissions = options.Permissions,
        };
        await connection.SendAsync(new WorkerMessage { Register = register }, either.Token);
        if (await connection.ReceiveAsync(either.Token) is not { Register: { } registered })
        {
            throw new WebSocketException("The server did not confirm the registration.");
        }

        WorkerId = registered.WorkerId;
        _failures = 0;
        Interlocked.Exchange(ref _missedPongs, 0);
        _toldStatus = null;
        _connection = connection;
        LogRegistered(options.AgentName, registered.WorkerId);
    }

    /// <summary>
    /// After a break the server knows nothing of us: our load, the jobs that run on, and those that ended. What was sent shortly before a
    /// connection broke may not have arrived, and nothing confirms it, so recent ends are told twice rather than never.
    /// </summary>
    private void TellAgain(WorkerConnection connection)
    {
        TellStatus();
        foreach (var (id, _) in _running)
        {
            connection.TrySend(new WorkerMessage { UpdateJob = new UpdateJobStatus { JobId = id, Status = JobStatus.JsRunning } });
        }

        // After what runs: of a job that ends in this moment, its end is told last.
        var oldest = clock.GetUtcNow() - EndsToldAgain;
        foreach (var (update, at) in _ends)
        {
            if (at >= oldest)
            {
                connection.TrySend(new WorkerMessage { UpdateJob = update });
            }
        }
    }

    private void Handle(WorkerConnection connection, ServerMessage message, CancellationToken cancellationToken)
    {
        switch (message.MessageCase)
        {
            case ServerMessage.MessageOneofCase.Availability when message.Availability.Job is { } offered:
                Own(AnswerAsync(connection, offered, cancellationToken));
                break;
            case ServerMessage.MessageOneofCase.Assignment when message.Assignment.Job is not null:
                Start(message.Assignment);
                break;
            case ServerMessage.MessageOneofCase.Termination:
                Terminate(message.Termination.JobId);
                break;
            case ServerMessage.MessageOneofCase.Pong:
                Interlocked.Exchange(ref _missedPongs, 0);
                break;
        }
    }

    [SuppressMessage("Design", "CA1031", Justification = "A failed decision is a refusal.")]
    private async Task AnswerAsync(WorkerConnection connection, Job offered, CancellationToken cancellationToken)
    {
        JobDecision decision = new JobDecision.Refuse();
        try
        {
            if (!_draining)
            {
                decision = await jobs.DecideAsync(offered, cancellationToken);
            }
        }
        catch (Exception e)
        {
            LogDecisionFault(offered.Id, e);
        }

        var answer = new AvailabilityResponse { JobId = offered.Id };
        if (decision is JobDecision.Accept accept)
        {
            answer.Available = true;
            answer.ParticipantIdentity = accept.Identity ?? "agent-" + offered.Id;
            answer.ParticipantName = accept.Name;
            answer.ParticipantMetadata = accept.Metadata;
            // The attribute by which front ends recognise an agent; the worker of LiveKit's own SDK writes it too.
            answer.ParticipantAttributes["lk.agent.name"] = options.AgentName;
            foreach (var (key, value) in accept.Attributes)
            {
                answer.ParticipantAttributes[key] = value;
            }

            _accepted[offered.Id] = clock.GetUtcNow();
        }

        LogAnswered(offered.Id, answer.Available);
        connection.TrySend(new WorkerMessage { Availability = answer });
    }

    private void Start(JobAssignment assignment)
    {
        var job = assignment.Job;
        if (!_accepted.TryRemove(job.Id, out _))
        {
            // Not accepted, or accepted so long ago that the offer was written off.
            LogUnexpectedAssignment(job.Id);
            TellJob(job.Id, JobStatus.JsFailed, "The assignment came too late.");
            return;
        }

        var url = assignment is { HasUrl: true, Url.Length: > 0 } ? assignment.Url : server.WebSocketUrl.ToString();
        var running = new CancellationTokenSource();
        if (_running.TryAdd(job.Id, running))
        {
            Own(RunJobAsync(new AssignedJob(job, url, assignment.Token), running));
            TellStatus();
        }
    }

    [SuppressMessage("Design", "CA1031", Justification = "A job's fault ends only the job.")]
    private async Task RunJobAsync(AssignedJob job, CancellationTokenSource running)
    {
        // Off the receiving loop: a job that blocks must not hold up the others.
        await Task.Yield();
        TellJob(job.Job.Id, JobStatus.JsRunning);
        var (status, error) = (JobStatus.JsSuccess, "");
        try
        {
            await jobs.RunAsync(job, running.Token);
        }
        catch (OperationCanceledException) when (running.IsCancellationRequested)
        {
            // Ended from outside, as agreed.
        }
        catch (Exception e)
        {
            (status, error) = (JobStatus.JsFailed, e.Message);
            LogJobFault(job.Job.Id, e);
        }

        // In this order: whoever tells a new connection of the jobs finds each among those that run, or those that ended, or both.
        TellJob(job.Job.Id, status, error);
        _running.TryRemove(job.Job.Id, out _);
        TellStatus();
    }

    private void Terminate(string jobId)
    {
        if (_running.TryGetValue(jobId, out var job))
        {
            LogTerminated(jobId);
            Own(job.CancelAsync());
        }
    }

    private void TellJob(string jobId, JobStatus status, string error = "")
    {
        var update = new UpdateJobStatus { JobId = jobId, Status = status, Error = error };
        if (status is not JobStatus.JsRunning)
        {
            _ends.Enqueue((update, clock.GetUtcNow()));
            while (_ends.Count > MaxEnds)
            {
                _ends.TryDequeue(out _);
            }
        }

        _connection?.TrySend(new WorkerMessage { UpdateJob = update });
    }

    /// <summary>Tells load and status now; false when the server does not read.</summary>
    private bool TellStatus()
    {
        var (load, available) = jobs.Load();
        var status = available && !_draining ? WorkerStatus.WsAvailable : WorkerStatus.WsFull;
        if (_toldStatus != status)
        {
            _toldStatus = status;
            LogStatus(status);
        }

        var update = new UpdateWorkerStatus { Status = status, Load = (float)load, JobCount = (uint)_running.Count };
        return _connection?.TrySend(new WorkerMessage { UpdateWorker = update }) ?? true;
    }

    private async Task TickAsync(WorkerConnection connection, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(options.StatusInterval, clock);
        var nextPing = clock.GetUtcNow() + options.PingInterval;
        while (await timer.WaitForNextTickAsync(cancellationToken))
        {
            ForgetOldAcceptances();
            if (!TellStatus() && !connection.IsFinishing)
            {
                throw new WebSocketException("The server does not read what we send.");
            }

            var now = clock.GetUtcNow();
            if (now >= nextPing)
            {
                nextPing = now + options.PingInterval;
                if (Interlocked.Increment(ref _missedPongs) > MaxMissedPongs)
                {
                    throw new WebSocketException("The server no longer answers.");
                }

                connection.TrySend(new WorkerMessage { Ping = new WorkerPing { Timestamp = now.ToUnixTimeMilliseconds() } });
            }
        }
    }

    private void ForgetOldAcceptances()
    {
        var oldest = clock.GetUtcNow() - options.AssignmentTimeout;
        foreach (var (id, acceptedAt) in _accepted)
        {
            if (acceptedAt < oldest && _accepted.TryRemove(id, out _))
            {
                LogNotAssigned(id);
            }
        }
    }

    [SuppressMessage("Security", "CA5394", Justification = "Jitter is no secret.")]
    private async Task PauseAsync(CancellationToken cancellationToken)
    {
        var pause = options.ReconnectDelay * Math.Pow(2, Math.Min(_failures++, 10));
        pause = (pause < options.MaxReconnectDelay ? pause : options.MaxReconnectDelay) * (0.8 + (0.4 * Random.Shared.NextDouble()));
        try
        {
            await Task.Delay(pause, clock, cancellationToken);
        }
        catch (OperationCanceledException)
        {
            // The loop sees it.
        }
    }

    /// <summary>Ends the whole connection when one of its tasks fails.</summary>
    [SuppressMessage("Design", "CA1031", Justification = "Told in the log and by ending the connection.")]
    private async Task EndWith(Task task, CancellationTokenSource connectionEnd)
    {
        try
        {
            await task;
        }
        catch (Exception e)
        {
            if (!connectionEnd.IsCancellationRequested)
            {
                LogBroken(e.Message);
                await connectionEnd.CancelAsync();
            }
        }
    }

    /// <summary>Keeps a task that <see cref="RunAsync"/> awaits in the end. None of them fails.</summary>
    private void Own(Task task)
    {
        _owned[task] = 0;
        _ = task.ContinueWith(
            done => _owned.TryRemove(done, out _), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
    }

    [LoggerMessage(LogLevel.Information, "Agent {AgentName} is registered with LiveKit as worker {WorkerId}.")]
    private partial void LogRegistered(string agentName, string workerId);

    [LoggerMessage(LogLevel.Information, "The worker is {Status}.")]
    private partial void LogStatus(WorkerStatus status);

    [LoggerMessage(LogLevel.Information, "LiveKit closed the worker's connection.")]
    private partial void LogClosed();

    [LoggerMessage(LogLevel.Information, "The worker has left LiveKit.")]
    private partial void LogStopped();

    [LoggerMessage(LogLevel.Warning, "The worker's connection to LiveKit broke: {Reason}")]
    private partial void LogBroken(string reason);

    [LoggerMessage(LogLevel.Information, "Draining: no more jobs, {Count} running.")]
    private partial void LogDraining(int count);

    [LoggerMessage(LogLevel.Warning, "Draining took too long; {Count} jobs are ended.")]
    private partial void LogDrainTimedOut(int count);

    [LoggerMessage(LogLevel.Debug, "Job {JobId} was offered; taken: {Accepted}.")]
    private partial void LogAnswered(string jobId, bool accepted);

    [LoggerMessage(LogLevel.Error, "Whether to take job {JobId} could not be decided; it is refused.")]
    private partial void LogDecisionFault(string jobId, Exception e);

    [LoggerMessage(LogLevel.Warning, "Job {JobId} was assigned although it was not accepted, or too late.")]
    private partial void LogUnexpectedAssignment(string jobId);

    [LoggerMessage(LogLevel.Warning, "Job {JobId} was accepted but not assigned in time.")]
    private partial void LogNotAssigned(string jobId);

    [LoggerMessage(LogLevel.Error, "Job {JobId} failed.")]
    private partial void LogJobFault(string jobId, Exception e);

    [LoggerMessage(LogLevel.Information, "LiveKit ended job {JobId}.")]
    private partial void LogTerminated(string jobId);
}
