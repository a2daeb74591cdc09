using Dapper;

namespace VoicePlatform.Sessions.Features;

/// <summary>Where the time of each answer went, in milliseconds.</summary>
internal static class GetTurns
{
    public static void Map(RouteGroupBuilder sessions) => sessions
        .MapGet("/{id}/turns", async (string id, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, id), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(GetTurns))
        .Produces<Response>();

    public sealed record Query(string TenantId, string SessionId) : IRequest<Result<Response>>;

    public sealed record Response(IReadOnlyList<Item> Data);

    public sealed record Item
    {
        public int Turn { get; init; }
        public int? EndpointingMs { get; init; }
        public int? TranscriptionMs { get; init; }
        public int? FirstTokenMs { get; init; }
        public int? FirstAudioMs { get; init; }
        public int? ResponseMs { get; init; }
        public bool Interrupted { get; init; }
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
                "SELECT turn, endpointing_ms, transcription_ms, first_token_ms, first_audio_ms, response_ms, interrupted FROM session.turns WHERE session_id = @SessionId ORDER BY turn",
                request, cancellationToken: cancellationToken));
            return new Response(rows.ToList());
        }
    }
}
