using System.Text.Json.Serialization;
using Dapper;
using Microsoft.AspNetCore.Mvc;

namespace VoicePlatform.Sessions.Features;

/// <summary>
/// What the conversation used so far: what providers reported beside what the platform measured, and apart what was generated ahead and discarded.
/// </summary>
internal static class GetUsage
{
    public static void Map(RouteGroupBuilder sessions) => sessions
        .MapGet("/{id}/usage", async (string id, [FromQuery(Name = "by_turn")] bool? byTurn, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, id, byTurn ?? false), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(GetUsage))
        .Produces<Response>();

    /// <param name="ByTurn">A row for each turn; otherwise one over all.</param>
    public sealed record Query(string TenantId, string SessionId, bool ByTurn) : IRequest<Result<Response>>;

    public sealed record Response(IReadOnlyList<Item> Data);

    public sealed record Item
    {
        public required string Component { get; init; }
        public required string Provider { get; init; }
        public required string Model { get; init; }
        public required string Unit { get; init; }

        /// <summary>What counts: what was reported, or where nothing was, what was measured.</summary>
        public long Quantity { get; init; }

        /// <summary>As the provider says; null where it says nothing.</summary>
        public long? Reported { get; init; }

        /// <summary>As the platform finds: characters and seconds exactly, tokens by their text.</summary>
        public long Measured { get; init; }

        /// <summary>Generated ahead and thrown away, since the caller went on speaking; not charged.</summary>
        public bool Discarded { get; init; }

        /// <summary>By the tenant's own key at the provider: charged less, as its rate card says.</summary>
        public bool OwnKey { get; init; }

        /// <summary>With by_turn: which turn; 0 is what belongs to none, such as listening; below 0 are analyses after the end, -1 the first.</summary>
        [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
        public int? Turn { get; init; }
    }

    internal sealed class Handler(UnitOfWork unit) : IRequestHandler<Query, Result<Response>>
    {
        public async Task<Result<Response>> Handle(Query request, CancellationToken cancellationToken)
        {
            var connection = await unit.OpenAsync(cancellationToken);
            if (!await connection.ExecuteScalarAsync<bool>(new(
                "SELECT EXISTS (SELECT FROM session.sessions WHERE id = @SessionId AND tenant_id = @TenantId)", request, cancellationToken: cancellationToken)))
            {
                return SessionErrors.NotFound;
            }

            var rows = await connection.QueryAsync<Item>(new(
                $"""
                SELECT {(request.ByTurn ? "turn," : "")} component, provider, model, unit, discarded, own_key,
                  sum(quantity)::bigint AS quantity, sum(reported)::bigint AS reported, sum(measured)::bigint AS measured
                FROM session.usage WHERE session_id = @SessionId
                GROUP BY {(request.ByTurn ? "turn," : "")} component, provider, model, unit, discarded, own_key
                ORDER BY {(request.ByTurn ? "turn," : "")} discarded, component, provider, model, own_key
                """,
                request, cancellationToken: cancellationToken));
            return new Response(rows.ToList());
        }
    }
}
