using VoicePlatform.LiveKit.Protocol;

namespace VoicePlatform.LiveKit.Worker;

/// <summary>How a worker presents itself.</summary>
public sealed record AgentWorkerOptions
{
    /// <summary>The name that dispatches ask for. Empty: every new room's agent, which a multi-tenant installation never wants.</summary>
    public required string AgentName { get; init; }

    public string Version { get; init; } = "1.0.0";

    public JobType Type { get; init; } = JobType.JtRoom;

    /// <summary>What the agent may do in its rooms.</summary>
    public ParticipantPermission Permissions { get; init; } = new()
    {
        CanPublish = true,
        CanSubscribe = true,
        CanPublishData = true,
        CanUpdateMetadata = true,
        Agent = true,
    };

    /// <summary>How often load and status are told; a change of status is told at once.</summary>
    public TimeSpan StatusInterval { get; init; } = TimeSpan.FromSeconds(2.5);

    /// <summary>How often the connection is tried; three unanswered tries end it.</summary>
    public TimeSpan PingInterval { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long the server may take from our acceptance to its assignment.</summary>
    public TimeSpan AssignmentTimeout { get; init; } = TimeSpan.FromSeconds(7.5);

    /// <summary>First and longest pause before connecting anew; it doubles, with a little chance.</summary>
    public TimeSpan ReconnectDelay { get; init; } = TimeSpan.FromMilliseconds(500);

    public TimeSpan MaxReconnectDelay { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Messages that wait to be sent; a server that does not read them is given up.</summary>
    public int SendQueue { get; init; } = 256;
}

/// <summary>The answer to an offered job.</summary>
public abstract record JobDecision
{
    private JobDecision()
    {
    }

    /// <summary>Takes the job and joins the room as this participant.</summary>
    public sealed record Accept : JobDecision
    {
        /// <summary>Null: <c>agent-</c> and the job's id.</summary>
        public string? Identity { get; init; }

        public string Name { get; init; } = "";

        public string Metadata { get; init; } = "";

        public IReadOnlyDictionary<string, string> Attributes { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);
    }

    /// <summary>Leaves the job to another worker.</summary>
    public sealed record Refuse : JobDecision;
}

/// <summary>A job that has been given to this worker.</summary>
/// <param name="Url">Where to join.</param>
/// <param name="Token">With what.</param>
public sealed record AssignedJob(Job Job, string Url, string Token);

/// <summary>What a worker does with jobs. Calls may come at the same time, for different jobs.</summary>
public interface IAgentJobs
{
    /// <summary>Decides about an offered job, fast: the server waits.</summary>
    ValueTask<JobDecision> DecideAsync(Job job, CancellationToken cancellationToken);

    /// <summary>Does a job; returns when it is done. The token is cancelled when the server ends the job or draining takes too long.</summary>
    Task RunAsync(AssignedJob job, CancellationToken cancellationToken);

    /// <summary>How busy we are, 0 to 1, and whether another job could be taken.</summary>
    (double Load, bool Available) Load();
}
