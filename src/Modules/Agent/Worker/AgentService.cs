using System.Text.Json;
using Microsoft.Extensions.Options;
using VoicePlatform.Agent.Providers.PocketSphinx;
using VoicePlatform.LiveKit;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.Worker;

namespace VoicePlatform.Agent.Worker;

/// <summary>Runs the worker for as long as the host runs. Stopping takes no new jobs and lets the running conversations finish, within bounds.</summary>
internal sealed partial class AgentService(
    LiveKitServer server, AttendedRoom.Factory rooms, ConversationRegistry running, PocketSphinxSpeech ears,
    IOptions<AgentOptions> options, TimeProvider clock, ILoggerFactory logs) : BackgroundService, IAgentJobs
{
    private AgentWorker? _worker;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (PocketSphinxSpeech.Missing() is { } missing)
        {
            NoLocalEars(logs.CreateLogger<AgentService>(), missing);
        }
        else
        {
            ears.Warm();
        }

        _worker = new AgentWorker(
            server, new AgentWorkerOptions { AgentName = options.Value.AgentName }, this, clock, logs.CreateLogger<AgentWorker>());
        await _worker.RunAsync(stoppingToken);        // Cancelled only when it has drained, or when it is stopped before it began.
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        if (_worker is not null)
        {
            await _worker.DrainAsync(options.Value.DrainTimeout);
        }

        await base.StopAsync(cancellationToken);
    }

    ValueTask<JobDecision> IAgentJobs.DecideAsync(Job job, CancellationToken cancellationToken) => ValueTask.FromResult<JobDecision>(
        running.IsFull || SessionOf(job) is null ? new JobDecision.Refuse() : new JobDecision.Accept { Identity = options.Value.Identity, Name = "Assistant" });

    async Task IAgentJobs.RunAsync(AssignedJob job, CancellationToken cancellationToken)
    {
        // Between the offer and now others may have come: then nobody attends, and the sweeper says so to whoever asks.
        if (SessionOf(job.Job) is { } sessionId && running.TryEnter())
        {
            try
            {
                await rooms().RunAsync(sessionId, job.Url, job.Token, cancellationToken);
            }
            finally
            {
                running.Leave();
            }
        }
    }

    (double Load, bool Available) IAgentJobs.Load() => (running.Running / (double)running.Maximum, !running.IsFull);

    private static string? SessionOf(Job job)
    {
        try
        {
            using var metadata = JsonDocument.Parse(job.Metadata);
            return metadata.RootElement.ValueKind is JsonValueKind.Object && metadata.RootElement.TryGetProperty("session_id", out var id) ? id.GetString() : null;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    [LoggerMessage(LogLevel.Warning, "Without local speech recognition: {Missing}")]
    private static partial void NoLocalEars(ILogger logger, string missing);
}
