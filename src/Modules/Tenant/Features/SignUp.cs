using System.Text.Json.Serialization;

namespace VoicePlatform.Tenants.Features;

/// <summary>Seed 003's POST /auth/create-key: <see cref="NewTenant"/> for whoever comes, in the seed's envelope.</summary>
internal static class SignUp
{
    public static void Map(IEndpointRouteBuilder app) => app
        .MapPost("/auth/create-key", async (Body body, Caller caller, IMediator mediator, CancellationToken ct) =>
        {
            caller.BecomeNobody();
            return (await mediator.Send(new NewTenant(body.UserName, body.OrgName, body.UserEmail, IsSignUp: true), ct)).ToHttp(made => SeedRoute.Success("API key created", made));
        })
        .WithName(nameof(SignUp))
        .WithTags("Seed 003")
        .AllowAnonymous()
        .ForSeed(SeedRoute.Envelope);

    [JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
    public sealed record Body(string? UserName = null, string? OrgName = null, string? UserEmail = null);
}
