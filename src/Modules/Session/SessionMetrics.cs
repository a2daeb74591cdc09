using System.Diagnostics.Metrics;
using Dapper;
using Npgsql;
using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Sessions;

/// <summary>What operators watch of conversations: how many run, how they end, and where the time of answers goes.</summary>
internal sealed class SessionMetrics(NpgsqlDataSource source) : IGauges
{
    private static readonly Meter Meter = new("VoicePlatform.Sessions");
    private static readonly Counter<long> SessionsEnded = Meter.CreateCounter<long>("voiceplatform.sessions.ended", "{session}", "Conversations that are over, by channel and reason.");
    private static readonly Histogram<double> Stages = Meter.CreateHistogram<double>(
        "voiceplatform.turn.duration", "s", "Stages of answers: response is the caller's last sound to the assistant's first.", null,
        new() { HistogramBucketBoundaries = [0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10] });

    public static void Ended(string channel, string reason) => SessionsEnded.Add(1, new("channel", channel), new KeyValuePair<string, object?>("reason", reason));

    public static void Turn(TurnTiming turn)
    {
        Note("endpointing", turn.EndpointingMs);
        Note("transcription", turn.TranscriptionMs);
        Note("first_token", turn.FirstTokenMs);
        Note("first_audio", turn.FirstAudioMs);
        Note("response", turn.ResponseMs);

        static void Note(string stage, int? ms)
        {
            if (ms is { } some)
            {
                Stages.Record(some / 1000.0, new KeyValuePair<string, object?>("stage", stage));
            }
        }
    }

    public async Task<IReadOnlyList<Gauge>> ReadAsync(CancellationToken ct)
    {
        const string What = "Conversations that are open, by whether the caller is there yet.";
        await using var connection = await source.OpenConnectionAsync(ct);
        var (created, active) = await connection.QuerySingleAsync<(long, long)>(new(
            "SELECT count(*) FILTER (WHERE status = 'created'), count(*) FILTER (WHERE status = 'active') FROM session.sessions WHERE status <> 'ended'", cancellationToken: ct));
        return [new("voiceplatform.sessions.open", What, ("status", "created"), created), new("voiceplatform.sessions.open", What, ("status", "active"), active)];
    }
}
