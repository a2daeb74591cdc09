using Microsoft.Extensions.Logging;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.Tokens;
using VoicePlatform.MediaServer.Rooms;

namespace VoicePlatform.MediaServer.Workers;

/// <summary>
/// Knows the workers and what rooms want of them, and brings both together: every dispatch of a room becomes a job on the least
/// loaded worker of that agent name that accepts it. A dispatch without a worker waits for one. One lock guards all of it; nothing
/// waits while holding it.
/// </summary>
internal sealed partial class AgentDispatcher(MediaServerOptions options, TimeProvider clock, ILogger log) : IAsyncDisposable
{
    private static readonly TimeSpan AgentTokenLifetime = TimeSpan.FromHours(6);

    private const int OfferRounds = 4;

    private static readonly TimeSpan OfferPause = TimeSpan.FromSeconds(5);

    private readonly Lock _gate = new();
    private readonly Dictionary<string, DispatchedRoom> _rooms = new(StringComparer.Ordinal);
    private readonly List<AgentWorker> _workers = [];
    private readonly CancellationTokenSource _stopping = new();
    private readonly List<Task> _assigning = [];

    public void RoomStarted(LiveKit.Protocol.Room room, IReadOnlyCollection<RoomAgentDispatch> agents)
    {
        lock (_gate)
        {
            var dispatched = new DispatchedRoom(room);
            _rooms.Add(room.Sid, dispatched);

            // The empty name stands for workers that did not name themselves: they take every room that asks for nobody else.
            foreach (var agent in agents.Count > 0 ? agents : [new RoomAgentDispatch()])
            {
                Add(dispatched, agent.AgentName, agent.Metadata, agent.RestartPolicy, agent.Deployment, agent.Attributes);
            }
        }
    }

    public void RoomEnded(string roomSid)
    {
        lock (_gate)
        {
            if (!_rooms.Remove(roomSid, out var room))
            {
                return;
            }

            foreach (var job in room.Dispatches.SelectMany(dispatch => dispatch.Jobs))
            {
                End(job, JobStatus.JsSuccess, "", terminate: true);
            }
        }
    }

    public void ParticipantJoined(LiveKit.Protocol.Room info, ParticipantInfo participant) =>
        Launch(info, participant, JobType.JtParticipant);

    public void ParticipantPublished(LiveKit.Protocol.Room info, ParticipantInfo participant) =>
        Launch(info, participant, JobType.JtPublisher);

    /// <summary>An agent that leaves ends its job; one that was lost is replaced while its room lives; one whose identity joins anew goes on.</summary>
    public void ParticipantLeft(string roomSid, string identity, DisconnectReason reason)
    {
        lock (_gate)
        {
            if (!_rooms.TryGetValue(roomSid, out var room))
            {
                return;
            }

            room.Participants.Remove(identity);
            foreach (var dispatch in room.Dispatches)
            {
                dispatch.Launched.Remove(identity);
                if (reason is DisconnectReason.DuplicateIdentity || dispatch.Jobs.Find(job => job.IsRunning && job.AgentIdentity == identity) is not { } job)
                {
                    continue;
                }

                var lost = reason is DisconnectReason.ConnectionTimeout or DisconnectReason.SignalClose or DisconnectReason.MediaFailure
                    or DisconnectReason.JoinFailure or DisconnectReason.StateMismatch;
                if (!lost)
                {
                    End(job, JobStatus.JsSuccess, "");
                }
                else
                {
                    Fail(room, dispatch, job, "the agent was lost");
                }
            }
        }
    }

    public AgentDispatch CreateDispatch(string roomSid, CreateAgentDispatchRequest request)
    {
        lock (_gate)
        {
            var room = _rooms.TryGetValue(roomSid, out var found) ? found : throw new RoomClosedException();
            return Add(room, request.AgentName, request.Metadata, request.RestartPolicy, request.Deployment, request.Attributes).ToInfo();
        }
    }

    /// <summary>Ends a dispatch and its jobs. Null when there is none of that id.</summary>
    public AgentDispatch? DeleteDispatch(string roomSid, string dispatchId)
    {
        lock (_gate)
        {
            if (!_rooms.TryGetValue(roomSid, out var room) || room.Dispatches.Find(d => d.Id == dispatchId) is not { } dispatch)
            {
                return null;
            }

            room.Dispatches.Remove(dispatch);
            dispatch.DeletedAt = Now();
            foreach (var job in dispatch.Jobs)
            {
                End(job, JobStatus.JsSuccess, "", terminate: true);
            }

            return dispatch.ToInfo();
        }
    }

    public IReadOnlyList<AgentDispatch> ListDispatches(string roomSid, string dispatchId)
    {
        lock (_gate)
        {
            return _rooms.TryGetValue(roomSid, out var room)
                ? [.. room.Dispatches.Where(d => dispatchId.Length == 0 || d.Id == dispatchId).Select(d => d.ToInfo())]
                : [];
        }
    }

    /// <summary>A worker registered: what waited for its name is given to it.</summary>
    public void Add(AgentWorker worker)
    {
        lock (_gate)
        {
            _workers.Add(worker);
            OfferWaiting(worker);
        }
    }

    /// <summary>A worker that was full has room again.</summary>
    public void Available(AgentWorker worker)
    {
        lock (_gate)
        {
            OfferWaiting(worker);
        }
    }

    /// <summary>A worker's socket ended. Jobs whose agent is still in its room go on.</summary>
    public void Remove(AgentWorker worker)
    {
        lock (_gate)
        {
            _workers.Remove(worker);
            foreach (var room in _rooms.Values)
            {
                foreach (var dispatch in room.Dispatches)
                {
                    foreach (var job in dispatch.Jobs.Where(job => job.Worker == worker && job.IsRunning).ToList())
                    {
                        if (!room.Participants.ContainsKey(job.AgentIdentity))
                        {
                            Fail(room, dispatch, job, "the worker was lost");
                        }
                    }
                }
            }
        }
    }

    public void UpdateJob(AgentWorker worker, UpdateJobStatus update)
    {
        lock (_gate)
        {
            foreach (var room in _rooms.Values)
            {
                foreach (var dispatch in room.Dispatches)
                {
                    if (dispatch.Jobs.Find(job => job.Id == update.JobId && job.Worker == worker && !job.IsEnded) is not { } job)
                    {
                        continue;
                    }

                    if (update.Status is JobStatus.JsFailed)
                    {
                        Fail(room, dispatch, job, update.Error);
                    }
                    else if (update.Status is JobStatus.JsSuccess)
                    {
                        End(job, update.Status, update.Error);
                    }

                    return;
                }
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        List<Task> open;
        lock (_gate)
        {
            open = [.. _assigning];
        }

        await Task.WhenAll(open).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stopping.Dispose();
    }

    private long Now() => clock.GetUtcNow().ToUnixTimeMilliseconds() * 1_000_000;

    private Dispatch Add(
        DispatchedRoom room,
        string agentName,
        string metadata,
        JobRestartPolicy restart,
        string deployment,
        IEnumerable<KeyValuePair<string, string>> attributes)
    {
        var dispatch = new Dispatch(room.Info.Name, agentName, metadata, restart, deployment, attributes, Now());
        room.Dispatches.Add(dispatch);
        foreach (var type in Enum.GetValues<JobType>())
        {
            Launch(room, dispatch, type);
        }

        return dispatch;
    }

    private void OfferWaiting(AgentWorker worker)
    {
        foreach (var room in _rooms.Values)
        {
            foreach (var dispatch in room.Dispatches.Where(d => worker.Serves(d.AgentName, d.Deployment)).ToList())
            {
                foreach (var waiting in dispatch.Jobs.Where(job => job.Type == worker.Type && job.IsWaiting).ToList())
                {
                    Assign(room, dispatch, waiting);
                }

                Launch(room, dispatch, worker.Type);
            }
        }
    }

    private void Launch(LiveKit.Protocol.Room info, ParticipantInfo participant, JobType type)
    {
        lock (_gate)
        {
            if (!_rooms.TryGetValue(info.Sid, out var room))
            {
                return;
            }

            room.Info = info;
            room.Participants[participant.Identity] = participant;
            foreach (var dispatch in room.Dispatches.ToList())
            {
                Launch(room, dispatch, type);
            }
        }
    }

    // A job is made when a worker of its kind is there to take it: which kind of agent a name stands for is only known then.
    private void Launch(DispatchedRoom room, Dispatch dispatch, JobType type)
    {
        if (!_workers.Exists(worker => worker.Type == type && worker.Serves(dispatch.AgentName, dispatch.Deployment)))
        {
            return;
        }

        if (type is JobType.JtRoom)
        {
            if (dispatch.Launched.Add(""))
            {
                Assign(room, dispatch, dispatch.AddJob(type, null));
            }

            return;
        }

        foreach (var participant in room.Participants.Values.Where(p => p.Kind is not (ParticipantInfo.Types.Kind.Agent or ParticipantInfo.Types.Kind.Egress)))
        {
            if ((type is JobType.JtParticipant || participant.IsPublisher) && dispatch.Launched.Add(participant.Identity))
            {
                Assign(room, dispatch, dispatch.AddJob(type, participant));
            }
        }
    }

    private void Assign(DispatchedRoom room, Dispatch dispatch, AgentJob job)
    {
        _assigning.RemoveAll(task => task.IsCompleted);
        _assigning.Add(Task.Run(() => AssignAsync(room, dispatch, job)));
    }

    /// <summary>Offers a job to one worker after the other until one takes it; otherwise it waits for the next worker.</summary>
    private async Task AssignAsync(DispatchedRoom room, Dispatch dispatch, AgentJob job)
    {
        var refused = new HashSet<AgentWorker>();
        for (var round = 1; ; round++)
        {
            if (await OfferRoundAsync(room, dispatch, job, refused))
            {
                return;
            }

            if (refused.Count == 0 || round >= OfferRounds)
            {
                LogWaiting(log, job.Id, dispatch.AgentName, room.Info.Name);
                return;
            }

            // Everybody declined or was silent: perhaps only for a moment.
            refused.Clear();
            await Task.Delay(OfferPause, clock, _stopping.Token);
        }
    }

    /// <summary>True when the job needs no more offering.</summary>
    private async Task<bool> OfferRoundAsync(DispatchedRoom room, Dispatch dispatch, AgentJob job, HashSet<AgentWorker> refused)
    {
        while (Choose(room, dispatch, job, refused) is { } worker)
        {
            var answer = await worker.OfferAsync(job, room.Info, options.AvailabilityTimeout, _stopping.Token);
            lock (_gate)
            {
                if (job.IsEnded || _stopping.IsCancellationRequested)
                {
                    worker.Release(job);
                    return true;
                }

                if (answer is { Available: true } && !worker.IsGone)
                {
                    job.Start(worker, answer, Now());
                    worker.Send(new ServerMessage { Assignment = new JobAssignment { Job = job.ToInfo(room.Info), Token = SignToken(room, dispatch, worker, answer) } });
                    LogAssigned(log, job.Id, dispatch.AgentName, room.Info.Name, worker.Id);
                    return true;
                }

                worker.Release(job);
                job.OfferedTo = null;
                if (answer is { Terminate: true })
                {
                    End(job, JobStatus.JsFailed, "the worker declined for good");
                    return true;
                }
            }

            refused.Add(worker);
        }

        return job.IsEnded;
    }

    private AgentWorker? Choose(DispatchedRoom room, Dispatch dispatch, AgentJob job, HashSet<AgentWorker> refused)
    {
        lock (_gate)
        {
            if (job.IsEnded || !_rooms.ContainsKey(room.Info.Sid) || job.OfferedTo is not null || !job.IsWaiting)
            {
                return null;
            }

            var chosen = _workers
                .Where(worker => worker.Type == job.Type && worker.IsAvailable && worker.Serves(dispatch.AgentName, dispatch.Deployment) && !refused.Contains(worker))
                .MinBy(worker => (worker.Load, worker.Pending));
            if (chosen is not null)
            {
                job.OfferedTo = chosen;
                chosen.Take(job);
            }

            return chosen;
        }
    }

    private string SignToken(DispatchedRoom room, Dispatch dispatch, AgentWorker worker, AvailabilityResponse answer)
    {
        var (id, secret) = (worker.ApiKeyId, options.ApiKeys[worker.ApiKeyId]);
        var attributes = new Dictionary<string, string>(answer.ParticipantAttributes, StringComparer.Ordinal);
        if (dispatch.AgentName.Length > 0)
        {
            attributes["lk.agent_name"] = dispatch.AgentName;
        }

        var permission = worker.Permissions;
        return new AccessToken
        {
            Identity = answer.ParticipantIdentity,
            Name = answer.ParticipantName,
            Metadata = answer.ParticipantMetadata,
            Attributes = attributes,
            Kind = "agent",
            Video = new VideoGrant
            {
                RoomJoin = true,
                Room = room.Info.Name,
                CanPublish = permission.CanPublish,
                CanSubscribe = permission.CanSubscribe,
                CanPublishData = permission.CanPublishData,
                CanUpdateOwnMetadata = permission.CanUpdateMetadata,
                Hidden = permission.Hidden,
                Agent = true,
            },
        }.Sign(new ApiKey(id, secret), clock.GetUtcNow(), AgentTokenLifetime);
    }

    private void Fail(DispatchedRoom room, Dispatch dispatch, AgentJob job, string error)
    {
        End(job, JobStatus.JsFailed, error);
        if (dispatch.RestartPolicy is JobRestartPolicy.JrpOnFailure && dispatch.MayRestart(clock) && _rooms.ContainsKey(room.Info.Sid))
        {
            Assign(room, dispatch, dispatch.AddJob(job.Type, job.Participant));
        }
    }

    /// <param name="terminate">Whether the worker has to be told to stop.</param>
    private void End(AgentJob job, JobStatus status, string error, bool terminate = false)
    {
        if (job.IsEnded)
        {
            return;
        }

        if (job.IsRunning && job.Worker is { IsGone: false } worker)
        {
            worker.Release(job);
            if (terminate)
            {
                worker.Send(new ServerMessage { Termination = new JobTermination { JobId = job.Id } });
            }
        }

        job.End(status, error, Now());
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Job {Job} of agent '{Agent}' in room {Room} goes to worker {Worker}")]
    private static partial void LogAssigned(ILogger log, string job, string agent, string room, string worker);

    [LoggerMessage(Level = LogLevel.Information, Message = "Job {Job} of agent '{Agent}' in room {Room} waits for a worker")]
    private static partial void LogWaiting(ILogger log, string job, string agent, string room);
}
