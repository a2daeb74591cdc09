using VoicePlatform.Tenants.Data;

namespace VoicePlatform.Tenants.Features;

/// <summary>That a secret is there, and since when. Its value is not read back.</summary>
internal static class GetSecret
{
    public static void Map(RouteGroupBuilder secrets) => secrets
        .MapGet("/{name}", async (string name, HttpContext http, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, name), ct)).ToHttp(r => SecretAnswer.Tell(r, http)))
        .WithName(nameof(GetSecret))
        .Produces<SecretView>();

    public sealed record Query(string TenantId, string Name) : IRequest<Result<SecretAnswer>>;

    internal sealed class Handler(TenantDb db) : IRequestHandler<Query, Result<SecretAnswer>>
    {
        public async Task<Result<SecretAnswer>> Handle(Query request, CancellationToken cancellationToken) =>
            await db.Secrets.AsNoTracking().SingleOrDefaultAsync(s => s.TenantId == request.TenantId && s.Name == request.Name, cancellationToken) is { } secret
                ? SecretAnswer.Of(secret)
                : TenantErrors.SecretNotFound;
    }
}
