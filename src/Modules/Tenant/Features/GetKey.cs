using VoicePlatform.Tenants.Data;

namespace VoicePlatform.Tenants.Features;

/// <summary>A key; never its text.</summary>
internal static class GetKey
{
    public static void Map(RouteGroupBuilder keys) => keys
        .MapGet("/{id}", async (string id, HttpContext http, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, id), ct))
            .ToHttp(r => Etag.Answer(http, r.Key, r.Revision, StatusCodes.Status200OK, $"/v1/keys/{r.Key.Id}")))
        .WithName(nameof(GetKey))
        .Produces<KeyView>();

    public sealed record Query(string TenantId, string KeyId) : IRequest<Result<Response>>;

    public sealed record Response(KeyView Key, int Revision);

    internal sealed class Handler(TenantDb db) : IRequestHandler<Query, Result<Response>>
    {
        public async Task<Result<Response>> Handle(Query request, CancellationToken cancellationToken) =>
            await db.Keys.AsNoTracking().SingleOrDefaultAsync(k => k.Id == request.KeyId && k.TenantId == request.TenantId, cancellationToken) is { } key
                ? new Response(KeyView.Of(key), key.Revision)
                : TenantErrors.KeyNotFound;
    }
}
