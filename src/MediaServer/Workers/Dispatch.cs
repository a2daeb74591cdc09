using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.MediaServer.Rooms;

namespace VoicePlatform.MediaServer.Workers;

/// <summary>A live room as the dispatcher sees it.</summary>
internal sealed class DispatchedRoom(LiveKit.Protocol.Room info)
{
    public LiveKit.Protocol.Room Info { get; set; } = info;

    public List<Dispatch> Dispatches { get; } = [];

    /// <summary>By identity.</summary>
    public Dictionary<string, ParticipantInfo> Participants { get; } = new(StringComparer.Ordinal);
}

/// <summary>The wish for an agent in a room.</summary>
internal sealed class Dispatch(
    string room,
    string agentName,
    string metadata,
    JobRestartPolicy restartPolicy,
    string deployment,
    IEnumerable<KeyValuePair<string, string>> attributes,
    long createdAt)
{
    private const int RestartsPerMinute = 5;

    private readonly Dictionary<string, string> _attributes = new(attributes, StringComparer.Ordinal);
    private readonly Queue<long> _restarts = new();

    public string Id { get; } = Sid.Dispatch();

    public string AgentName => agentName;

    public string Metadata => metadata;

    public string Deployment => deployment;

    public JobRestartPolicy RestartPolicy => restartPolicy;

    public IReadOnlyDictionary<string, string> Attributes => _attributes;

    public long DeletedAt { get; set; }

    public List<AgentJob> Jobs { get; } = [];

    /// <summary>For whom jobs were made: identities, or "" for the room.</summary>
    public HashSet<string> Launched { get; } = new(StringComparer.Ordinal);

    public AgentJob AddJob(JobType type, ParticipantInfo? participant)
    {
        // Ended jobs are history; a dispatch that fails over and over must not grow.
        if (Jobs.Count > 50)
        {
            Jobs.RemoveAll(job => job.IsEnded);
        }

        var made = new AgentJob(this, type, participant);
        Jobs.Add(made);
        return made;
    }

    /// <summary>False when the job failed so often within a minute that another try would only fail again.</summary>
    public bool MayRestart(TimeProvider clock)
    {
        while (_restarts.TryPeek(out var oldest) && clock.GetElapsedTime(oldest) > TimeSpan.FromMinutes(1))
        {
            _restarts.Dequeue();
        }

        if (_restarts.Count >= RestartsPerMinute)
        {
            return false;
        }

        _restarts.Enqueue(clock.GetTimestamp());
        return true;
    }

    public AgentDispatch ToInfo()
    {
        var info = new AgentDispatch
        {
            Id = Id,
            AgentName = agentName,
            Room = room,
            Metadata = metadata,
            RestartPolicy = restartPolicy,
            Deployment = deployment,
            State = new AgentDispatchState { CreatedAt = createdAt, DeletedAt = DeletedAt },
        };
        info.Attributes.Add(_attributes);
        info.State.Jobs.Add(Jobs.Select(job => job.ToInfo(null)));
        return info;
    }
}

/// <summary>One run of an agent.</summary>
internal sealed class AgentJob(Dispatch dispatch, JobType type, ParticipantInfo? participant)
{
    private readonly JobState _state = new() { Status = JobStatus.JsPending };

    public string Id { get; } = Sid.Job();

    public JobType Type => type;

    public ParticipantInfo? Participant => participant;

    public AgentWorker? Worker { get; private set; }

    /// <summary>A worker is being asked.</summary>
    public AgentWorker? OfferedTo { get; set; }

    public string AgentIdentity => _state.ParticipantIdentity;

    public bool IsWaiting => _state.Status is JobStatus.JsPending;

    public bool IsRunning => _state.Status is JobStatus.JsRunning;

    public bool IsEnded => _state.Status is JobStatus.JsSuccess or JobStatus.JsFailed;

    public void Start(AgentWorker worker, AvailabilityResponse answer, long now)
    {
        Worker = worker;
        OfferedTo = null;
        _state.Status = JobStatus.JsRunning;
        _state.WorkerId = worker.Id;
        _state.ParticipantIdentity = answer.ParticipantIdentity;
        _state.StartedAt = _state.UpdatedAt = now;
    }

    public void End(JobStatus status, string error, long now)
    {
        _state.Status = status;
        _state.Error = error;
        _state.EndedAt = _state.UpdatedAt = now;
    }

    /// <param name="room">Null leaves the room out, as listings do.</param>
    public Job ToInfo(LiveKit.Protocol.Room? room)
    {
        var info = new Job
        {
            Id = Id,
            DispatchId = dispatch.Id,
            Type = type,
            Room = room,
            Participant = participant,
            Metadata = dispatch.Metadata,
            AgentName = dispatch.AgentName,
            Deployment = dispatch.Deployment,
            State = _state.Clone(),
        };
        info.Attributes.Add(new Dictionary<string, string>(dispatch.Attributes, StringComparer.Ordinal));
        return info;
    }
}
