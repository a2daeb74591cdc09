using Dapper;

namespace VoicePlatform.Sessions.Features;

/// <summary>Where the time of answers went: the 50th, 95th and 99th percentile of each stage in milliseconds, by day, assistant or number. At most 92 days at once.</summary>
internal static class GetLatencyAnalytics
{
    private const int MaxGroups = 1_000;

    private static readonly string[] Stages = ["endpointing", "transcription", "first_token", "first_audio", "response"];

    public static void Map(RouteGroupBuilder analytics) => analytics
        .MapGet("/latency", async (
            DateTimeOffset? from, DateTimeOffset? to, string? group_by, string? assistant_id, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, from, to, group_by, assistant_id), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(GetLatencyAnalytics))
        .Produces<Response>();

    public sealed record Query(string TenantId, DateTimeOffset? From, DateTimeOffset? To, string? GroupBy, string? AssistantId) : IRequest<Result<Response>>;

    public sealed record Response(DateTimeOffset From, DateTimeOffset To, GroupBy GroupBy, IReadOnlyList<LatencyFigures> Data, LatencyFigures Total);

    /// <param name="Group">The day, assistant or number; null in the total.</param>
    /// <param name="Turns">Answers that were measured.</param>
    /// <param name="Interrupted">Of them, those the caller interrupted.</param>
    /// <param name="Endpointing">The caller's last sound to the decision that the turn is over.</param>
    /// <param name="Transcription">What the recogniser took after the caller's last sound.</param>
    /// <param name="FirstToken">The decision to the model's first text.</param>
    /// <param name="FirstAudio">The first sentence to its first audio.</param>
    /// <param name="Response">The caller's last sound to the assistant's first.</param>
    public sealed record LatencyFigures(
        string? Group, long Turns, long Interrupted, Percentiles Endpointing, Percentiles Transcription, Percentiles FirstToken, Percentiles FirstAudio, Percentiles Response);

    /// <summary>Milliseconds; null where the stage did not happen.</summary>
    /// <param name="Count">Turns in which the stage was measured.</param>
    public sealed record Percentiles(long Count, double? P50, double? P95, double? P99);

    internal sealed class Handler(UnitOfWork unit, TimeProvider clock) : IRequestHandler<Query, Result<Response>>
    {
        private static readonly string Percentile = string.Concat(Stages.Select(s =>
            $"""
            , count({s}_ms) AS {s}_count, percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY {s}_ms) AS {s}

            """));

        public async Task<Result<Response>> Handle(Query request, CancellationToken cancellationToken)
        {
            var period = Period.Of(request.From, request.To, request.GroupBy, clock.GetUtcNow());
            if (!period.IsOk)
            {
                return period.Error;
            }

            // Index sessions_by_time, then the turns of each session by their primary key.
            await using var query = await (await unit.OpenAsync(cancellationToken)).ExecuteReaderAsync(new(
                $"""
                WITH seen AS (
                  SELECT {SessionGroups.Key(period.Value.GroupBy)} AS grp, t.* FROM session.sessions s JOIN session.turns t ON t.session_id = s.id
                  WHERE s.tenant_id = @TenantId AND s.created_at >= @From AND s.created_at < @To AND (@AssistantId IS NULL OR s.assistant_id = @AssistantId))
                SELECT grp, count(*) AS turns, count(*) FILTER (WHERE interrupted) AS interrupted {Percentile}
                FROM seen GROUP BY GROUPING SETS ((grp), ()) ORDER BY grouping(grp) DESC, grp LIMIT @MaxRows
                """,
                new { request.TenantId, period.Value.From, period.Value.To, request.AssistantId, MaxRows = MaxGroups + 1 },
                cancellationToken: cancellationToken));
            var rows = new List<LatencyFigures>();
            while (await query.ReadAsync(cancellationToken))
            {
                var stages = Stages.Select((_, i) => Read(query, 3 + (2 * i))).ToList();
                rows.Add(new(query.IsDBNull(0) ? null : query.GetString(0), query.GetInt64(1), query.GetInt64(2), stages[0], stages[1], stages[2], stages[3], stages[4]));
            }

            return new Response(period.Value.From, period.Value.To, period.Value.GroupBy, rows.Skip(1).ToList(), rows[0]);
        }

        private static Percentiles Read(System.Data.Common.DbDataReader row, int column)
        {
            var values = row.IsDBNull(column + 1) ? [] : row.GetFieldValue<double?[]>(column + 1);
            return new(row.GetInt64(column), At(0), At(1), At(2));

            double? At(int i) => values.Length > i && values[i] is { } ms ? Math.Round(ms, 1) : null;
        }
    }
}
